//! Embeds the site: the folder named by `SWARMREEL_SITE` (an absolute path), each file also compressed. Its pages name
//! their style sheets and scripts below a folder called after the whole site's hash, so that browsers may keep those.
//!
//! Without that variable the server has a single page that says how to build it with the site, so that the workspace
//! compiles without the WebAssembly toolchain.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SWARMREEL_SITE");
    #[cfg(feature = "server")]
    embed::write_table().unwrap_or_else(|error| panic!("cannot embed the site: {error}"));
}

#[cfg(feature = "server")]
mod embed {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;
    use std::io::{self, Write as _};
    use std::path::{Path, PathBuf};
    use std::{env, fs};

    const NO_SITE: &str = "<!doctype html><meta charset=utf-8><title>Swarmreel</title>\
        <p>This tracker was built without the site. <code>cargo xtask serve</code> builds and serves both.\n";

    struct Out {
        folder: PathBuf,
        table: String,
        blobs: usize,
    }

    /// Writes `site.rs`, the table that `src/server/site.rs` includes, and the files it names.
    pub(crate) fn write_table() -> io::Result<()> {
        let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
        let mut files = BTreeMap::new();
        match env::var_os("SWARMREEL_SITE").filter(|site| !site.is_empty()) {
            None => drop(files.insert("/index.html".to_owned(), NO_SITE.as_bytes().to_vec())),
            Some(site) => {
                println!("cargo::rerun-if-changed={}", site.to_string_lossy());
                walk(Path::new(&site), "", &mut files)?;
            }
        }
        let version = version(&files);
        let table = format!("pub(super) const SITE: Site = Site {{ version: {version:?}, files: &[\n");
        let mut out = Out { folder, table, blobs: 0 };
        for (path, bytes) in &files {
            match std::str::from_utf8(bytes) {
                Ok(page) if path.ends_with(".html") => out.add(path, versioned(page, &version, &files).as_bytes())?,
                _ => out.add(path, bytes)?,
            }
        }
        fs::write(out.folder.join("site.rs"), out.table + "] };\n")
    }

    /// A hash of all files and their paths.
    fn version(files: &BTreeMap<String, Vec<u8>>) -> String {
        let mut hash = sha1_smol::Sha1::new();
        for (path, bytes) in files {
            hash.update(format!("{path} {}\n", bytes.len()).as_bytes());
            hash.update(bytes);
        }
        hash.digest().to_string()[..16].to_owned()
    }

    /// The page with the files that it names below the version's folder. Those find each other by relative paths.
    fn versioned(page: &str, version: &str, files: &BTreeMap<String, Vec<u8>>) -> String {
        files.keys().fold(page.to_owned(), |page, path| {
            let name = path.trim_start_matches('/');
            page.replace(&format!("=\"{name}\""), &format!("=\"{version}/{name}\""))
        })
    }

    fn walk(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
        let entries =
            fs::read_dir(folder).map_err(|error| io::Error::other(format!("{}: {error}", folder.display())))?;
        for entry in entries {
            let entry = entry?;
            let name =
                entry.file_name().into_string().map_err(|name| io::Error::other(format!("{name:?} is not UTF-8")))?;
            let path = format!("{prefix}/{name}");
            if entry.path().is_dir() {
                walk(&entry.path(), &path, files)?;
            } else {
                files.insert(path, fs::read(entry.path())?);
            }
        }
        Ok(())
    }

    impl Out {
        fn add(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
            let (kind, compressible) = kind(path);
            let plain = self.blob(bytes)?;
            let mut worth_it = |packed: Vec<u8>| -> io::Result<String> {
                let worth_it = compressible && packed.len() < bytes.len() / 20 * 19;
                Ok(if worth_it { format!("Some({})", self.blob(&packed)?) } else { "None".to_owned() })
            };
            let brotli = worth_it(brotli(bytes)?)?;
            let gzip = worth_it(gzip(bytes)?)?;
            let etag = format!("W/\"{}\"", &sha1_smol::Sha1::from(bytes).digest().to_string()[..20]);
            writeln!(
                self.table,
                "File {{ path: {path:?}, kind: {kind:?}, etag: {etag:?}, plain: {plain}, \
                 brotli: {brotli}, gzip: {gzip} }},"
            )
            .expect("a string takes all text");
            Ok(())
        }

        /// Puts bytes where the table can include them; the expression that does.
        fn blob(&mut self, bytes: &[u8]) -> io::Result<String> {
            let file = self.folder.join(format!("site-{}", self.blobs));
            self.blobs += 1;
            fs::write(&file, bytes)?;
            Ok(format!("include_bytes!({:?})", file.display().to_string()))
        }
    }

    /// MIME type by extension, and whether such files are worth compressing.
    fn kind(path: &str) -> (&'static str, bool) {
        match path.rsplit('.').next().unwrap_or("") {
            "html" => ("text/html; charset=utf-8", true),
            "css" => ("text/css; charset=utf-8", true),
            "js" | "mjs" => ("text/javascript; charset=utf-8", true),
            "json" | "map" => ("application/json", true),
            "webmanifest" => ("application/manifest+json", true),
            "wasm" => ("application/wasm", true),
            "svg" => ("image/svg+xml", true),
            "txt" | "ts" => ("text/plain; charset=utf-8", true),
            "ico" => ("image/x-icon", true),
            "png" => ("image/png", false),
            "jpg" | "jpeg" => ("image/jpeg", false),
            "webp" => ("image/webp", false),
            "woff2" => ("font/woff2", false),
            _ => ("application/octet-stream", false),
        }
    }

    fn brotli(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut packed = Vec::new();
        let params = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 22, ..Default::default() };
        brotli::BrotliCompress(&mut &bytes[..], &mut packed, &params)?;
        Ok(packed)
    }

    fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes)?;
        encoder.finish()
    }
}
