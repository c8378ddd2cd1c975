//! How large the site is: what a first visit costs.

use std::io::Write;

use anyhow::Result;

use crate::site::{self, Optimise};

/// Builds the site and prints the bytes of each file, largest first: as it is, with gzip, and with brotli.
pub(crate) fn print() -> Result<()> {
    site::build(Optimise::IfFound)?;
    let mut rows = Vec::new();
    for (path, bytes) in site::read()? {
        rows.push((path.display().to_string(), [bytes.len(), gzip(&bytes)?, brotli(&bytes)?]));
    }
    rows.sort_by_key(|(_, [raw, ..])| std::cmp::Reverse(*raw));
    let total = rows.iter().fold([0; 3], |sum, (_, sizes)| std::array::from_fn(|kind| sum[kind] + sizes[kind]));
    rows.push(("total".to_owned(), total));
    println!("{:>10} {:>10} {:>10}  file", "raw", "gzip", "brotli");
    for (name, [raw, gzip, brotli]) in rows {
        println!("{raw:>10} {gzip:>10} {brotli:>10}  {name}");
    }
    Ok(())
}

fn gzip(bytes: &[u8]) -> Result<usize> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

fn brotli(mut bytes: &[u8]) -> Result<usize> {
    let mut out = Vec::new();
    brotli::BrotliCompress(&mut bytes, &mut out, &brotli::enc::BrotliEncoderParams::default())?;
    Ok(out.len())
}
