//! SHA-1: the only home of the hash crate, so that a native node may swap in one with SHA-NI.

/// A SHA-1 digest.
pub type Digest = [u8; 20];

/// A running SHA-1 over bytes given in order.
#[derive(Clone, Default)]
pub struct Sha1(sha1_smol::Sha1);

impl std::fmt::Debug for Sha1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sha1(running)")
    }
}

impl Sha1 {
    /// A hash of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes so far.
    pub fn digest(&self) -> Digest {
        self.0.digest().bytes()
    }
}

/// The SHA-1 of `bytes`.
pub fn sha1(bytes: &[u8]) -> Digest {
    let mut hash = Sha1::new();
    hash.update(bytes);
    hash.digest()
}
