//! The site: the page of `www/` and its WebAssembly worker, put together in `target/site`.
//!
//! Invariant: the folder holds just what the server is to serve, and a file is only written when it changes, so that
//! nothing is built again for nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use crate::install;
use crate::process::{cargo, command, find, root, run, target};

/// The page's files: everything in `www/` of these kinds, besides tests. `www/js` becomes the root.
const KINDS: [&str; 10] = ["html", "css", "js", "ts", "map", "svg", "png", "ico", "webmanifest", "txt"];
/// The name of the worker's module and glue: `swarmreel_web.js`, `swarmreel_web_bg.wasm`.
const GLUE: &str = "swarmreel_web";
const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// How much work goes into a small module.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Optimise {
    /// `wasm-opt` runs if it is there.
    IfFound,
    /// It must be there: what is released is always the same.
    Required,
}

/// What becomes of the module's function names.
#[derive(Clone, Copy, PartialEq)]
enum Names {
    Removed,
    Kept,
}

/// Builds the site; gives its folder.
pub(crate) fn build(optimise: Optimise) -> Result<PathBuf> {
    let glue = bind(&module()?, Names::Removed, "wasm-bindgen")?;
    shrink(&glue.join(format!("{GLUE}_bg.wasm")), optimise)?;
    assemble(&glue, "site")
}

/// Builds a site whose functions have their names, for a profiler; gives its folder.
pub(crate) fn build_named() -> Result<PathBuf> {
    let glue = bind(&module()?, Names::Kept, "wasm-bindgen-named")?;
    assemble(&glue, "named-site")
}

/// Compiles the worker; gives the module.
fn module() -> Result<PathBuf> {
    install::rust_target(WASM_TARGET)?;
    let package = "swarmreel-web";
    run(&mut cargo(["build", "-p", package, "--lib", "--target", WASM_TARGET, "--profile", "wasm"]))?;
    Ok(target().join(WASM_TARGET).join("wasm").join(format!("{GLUE}.wasm")))
}

/// Puts the page and the worker together in this folder of the target folder.
fn assemble(glue: &Path, name: &str) -> Result<PathBuf> {
    let mut files = BTreeMap::new();
    collect(&root().join("www"), Path::new(""), &mut files)?;
    collect(glue, Path::new(""), &mut files)?;
    let site = target().join(name);
    synchronise(&site, &files)?;
    Ok(site)
}

/// Copies the built site to another folder.
pub(crate) fn copy(to: &Path) -> Result<()> {
    let mut files = BTreeMap::new();
    collect(&target().join("site"), Path::new(""), &mut files)?;
    synchronise(to, &files)
}

/// Makes the JavaScript glue with wasm-bindgen, as a library: its version is that of the lock file, and nothing has
/// to be installed.
fn bind(module: &Path, names: Names, folder: &str) -> Result<PathBuf> {
    let folder = target().join(folder);
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    let bindgen = bindgen.web(true).map_err(|error| anyhow!("{error:#}"))?;
    bindgen
        .input_path(module)
        .out_name(GLUE)
        .remove_name_section(names == Names::Removed)
        .remove_producers_section(true);
    bindgen.typescript(false);
    bindgen.generate(&folder).map_err(|error| anyhow!("wasm-bindgen: {error:#}"))?;
    Ok(folder)
}

fn shrink(module: &Path, optimise: Optimise) -> Result<()> {
    let from_npm = root().join("tests/browser/node_modules/.bin/wasm-opt");
    let tool = find("wasm-opt").or_else(|| from_npm.is_file().then_some(from_npm));
    match (tool, optimise) {
        (Some(tool), _) => run(command(tool).arg("-O3").arg(module).arg("-o").arg(module)),
        (None, Optimise::IfFound) => Ok(()),
        (None, Optimise::Required) => Err(anyhow!("install wasm-opt (package “binaryen”), then run this again.")),
    }
}

/// Reads the site's files below `folder` into `files`, by their path on the site.
fn collect(folder: &Path, below: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().expect("an entry has a name");
        match (path.is_dir(), name.to_str().unwrap_or_default()) {
            (true, "src" | "target" | "node_modules") => {}
            (true, "js") if below == Path::new("") => collect(&path, below, files)?,
            (true, _) => collect(&path, &below.join(name), files)?,
            (false, name) if is_served(name) => drop(files.insert(below.join(name), fs::read(&path)?)),
            (false, _) => {}
        }
    }
    Ok(())
}

fn is_served(name: &str) -> bool {
    let kind = name.rsplit('.').next().unwrap_or_default();
    let is_module = name == format!("{GLUE}_bg.wasm");
    let is_private = name.contains(".test.") || name.starts_with(GLUE) && name.ends_with(".d.ts");
    is_module || (KINDS.contains(&kind) && !is_private)
}

/// Makes the folder hold just these files.
fn synchronise(folder: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    for (path, bytes) in files {
        let path = folder.join(path);
        if fs::read(&path).is_ok_and(|old| old == *bytes) {
            continue;
        }
        fs::create_dir_all(path.parent().expect("a file lies in a folder"))?;
        fs::write(&path, bytes).with_context(|| format!("{} can't be written", path.display()))?;
    }
    remove_others(folder, Path::new(""), files)
}

fn remove_others(folder: &Path, below: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(folder.join(below))? {
        let path = below.join(entry?.file_name());
        let is_kept = files.keys().any(|file| file.starts_with(&path));
        match (is_kept, folder.join(&path)) {
            (true, full) if full.is_dir() => remove_others(folder, &path, files)?,
            (true, _) => {}
            (false, full) if full.is_dir() => fs::remove_dir_all(full)?,
            (false, full) => fs::remove_file(full)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_page_is_served() {
        for (name, served) in [
            ("index.html", true),
            ("swarmreel.js", true),
            ("swarmreel.d.ts", true),
            ("swarmreel_web.js", true),
            ("swarmreel_web_bg.wasm", true),
            ("swarmreel_web_bg.wasm.d.ts", false),
            ("swarmreel_web.d.ts", false),
            ("state.test.js", false),
            ("Cargo.toml", false),
            ("tsconfig.json", false),
        ] {
            assert_eq!(is_served(name), served, "{name}");
        }
    }

    #[test]
    fn the_folder_follows_the_files() {
        let folder = target().join(format!("xtask-test-{}", std::process::id()));
        let files = |list: &[(&str, &str)]| -> BTreeMap<PathBuf, Vec<u8>> {
            list.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect()
        };
        synchronise(&folder, &files(&[("a.js", "1"), ("ui/b.js", "2"), ("old/c.js", "3")])).unwrap();
        let written = fs::metadata(folder.join("a.js")).unwrap().modified().unwrap();
        synchronise(&folder, &files(&[("a.js", "1"), ("ui/b.js", "4")])).unwrap();
        assert_eq!(fs::metadata(folder.join("a.js")).unwrap().modified().unwrap(), written);
        assert_eq!(fs::read(folder.join("ui/b.js")).unwrap(), b"4");
        assert!(!folder.join("old").exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
