//! Short-lived credentials for a TURN server that shares a secret with us: coturn's REST scheme
//! (draft-uberti-behave-turn-rest-00), which eturnal and others take too.
//!
//! Invariant: a name says when it ends and nothing about whom it was made for; the secret leaves in no form but as the
//! key of a hash.

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;

/// TURN servers, and what is needed to make credentials for them.
#[derive(Clone)]
pub struct Turn {
    pub(super) urls: Vec<String>,
    pub(super) lifetime: Duration,
    secret: Hmac<Sha1>,
}

impl Turn {
    /// Servers with these URLs (RFC 7065) and this shared secret. Credentials are good for `lifetime`, of which whole
    /// seconds count.
    pub fn new(urls: Vec<String>, secret: &str, lifetime: Duration) -> Self {
        let secret = Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
        Self { urls, lifetime, secret }
    }

    /// A name and its password, from now on.
    pub(super) fn credentials(&self, now: SystemTime) -> (String, String) {
        let mut tail = [0; 8];
        getrandom::fill(&mut tail).expect("the system has random bytes");
        let ends = (now + self.lifetime).duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let name = format!("{ends}:{:016x}", u64::from_be_bytes(tail));
        let password = self.password(&name);
        (name, password)
    }

    fn password(&self, name: &str) -> String {
        STANDARD.encode(self.secret.clone().chain_update(name).finalize().into_bytes())
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("urls", &self.urls).field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_when_it_says_and_no_two_are_alike() {
        let turn = Turn::new(vec!["turn:turn.test".to_owned()], "secret", Duration::from_secs(3600));
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_900);
        let ((first, password), (second, other)) = (turn.credentials(now), turn.credentials(now));
        assert!(first.starts_with("1700003600:") && first.len() == 27, "{first}");
        assert_ne!((&first, &password), (&second, &other));
        assert_eq!(password, turn.password(&first));
        assert!(!format!("{turn:?}").contains("secret"));
    }

    /// `printf 1700003600:x | openssl dgst -sha1 -hmac north -binary | base64`
    #[test]
    fn the_password_is_the_base64_of_an_hmac() {
        assert_eq!(Turn::new(vec![], "north", Duration::ZERO).password("1700003600:x"), "hrmNbVmBuje1d3dFj2GEV3zcifM=");
    }
}
