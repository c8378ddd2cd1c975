//! `/config.json`: what the page needs to find ways between people who sit behind NATs.
//!
//! Invariant: nothing that a client sends is written back, and TURN credentials are made anew for each answer, at a
//! bounded rate for each address, so that they can't be farmed.

use std::net::IpAddr;
use std::time::SystemTime;

use serde_json::json;
use swarmreel::time::Moment;
use tokio::time::Instant;

use super::rate::{Buckets, Rate};
use super::stun::Stun;
use super::turn::Turn;
use crate::Network;

/// For one household. A page asks when it starts, and once in the life of its credentials.
const PER_ADDRESS: Rate = Rate { per_second: 2, burst: 20 };
/// 32 KiB of them.
const ADDRESSES: usize = 4096;

/// The servers that pages may use for ICE (RFC 8445).
#[derive(Clone, Debug, Default)]
pub struct Ice {
    /// URLs of STUN servers besides our own (RFC 7064).
    pub servers: Vec<String>,
    /// Our own STUN server, which [`serve`](super::serve) runs; none: nobody answers.
    pub stun: Option<Stun>,
    /// Where pages reach our STUN server, if not at the page's own host name and the port that it is bound to.
    pub stun_url: Option<String>,
    /// TURN servers that take credentials of ours.
    pub turn: Option<Turn>,
}

/// The answers to requests for `/config.json`.
pub(super) struct IceConfig {
    ice: Ice,
    started: Instant,
    asked: Buckets,
}

impl IceConfig {
    pub(super) fn new(ice: Ice) -> Self {
        Self { ice, started: Instant::now(), asked: Buckets::new(ADDRESSES, PER_ADDRESS) }
    }

    /// The body for a page at this address; `None` if it asks for credentials too often.
    pub(super) fn body(&self, address: IpAddr) -> Option<String> {
        let now = Moment(0) + self.started.elapsed();
        let admitted = self.ice.turn.is_none() || self.asked.take(now, Network::from(address));
        admitted.then(|| self.ice.json(SystemTime::now()))
    }
}

impl Ice {
    /// `iceServers` as `RTCPeerConnection` takes them; `stun.port`: our STUN server is at the page's own host name;
    /// `lifetime`: seconds after which the credentials are to be asked for again.
    fn json(&self, now: SystemTime) -> String {
        let mut servers: Vec<_> = self.servers.iter().chain(&self.stun_url).map(|url| json!({ "urls": url })).collect();
        let mut config = serde_json::Map::new();
        if let Some(turn) = &self.turn {
            let (username, credential) = turn.credentials(now);
            servers.push(json!({ "urls": turn.urls, "username": username, "credential": credential }));
            config.insert("lifetime".to_owned(), turn.lifetime.as_secs().into());
        }
        config.insert("iceServers".to_owned(), servers.into());
        if let Some(stun) = self.stun.as_ref().filter(|_| self.stun_url.is_none()) {
            config.insert("stun".to_owned(), json!({ "port": stun.port() }));
        }
        serde_json::Value::Object(config).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn body(ice: &Ice) -> serde_json::Value {
        serde_json::from_str(&ice.json(SystemTime::UNIX_EPOCH)).unwrap()
    }

    #[test]
    fn what_is_set_is_told() {
        assert_eq!(body(&Ice::default()), json!({ "iceServers": [] }));
        let stun = Stun::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = stun.port();
        let mut ice = Ice { servers: vec!["stun:a.test".to_owned()], stun: Some(stun), ..Ice::default() };
        assert_eq!(body(&ice), json!({ "iceServers": [{ "urls": "stun:a.test" }], "stun": { "port": port } }));
        ice.stun_url = Some("stun:b.test:9".to_owned());
        assert_eq!(body(&ice), json!({ "iceServers": [{ "urls": "stun:a.test" }, { "urls": "stun:b.test:9" }] }));
        ice.turn = Some(Turn::new(vec!["turn:c.test".to_owned()], "secret", Duration::from_secs(60)));
        let told = body(&ice);
        assert_eq!(told["lifetime"], 60);
        assert_eq!(told["iceServers"][2]["urls"], json!(["turn:c.test"]));
        assert!(!told.to_string().contains("secret"), "{told}");
    }

    #[test]
    fn credentials_are_given_out_a_few_a_second() {
        let turn = Turn::new(vec!["turn:c.test".to_owned()], "secret", Duration::from_secs(60));
        let config = IceConfig::new(Ice { turn: Some(turn), ..Ice::default() });
        let given = |address: &str| (0..1000).filter_map(|_| config.body(address.parse().unwrap())).count();
        // Some time passes meanwhile.
        assert!((20..100).contains(&given("192.0.2.1")));
        assert!((20..100).contains(&given("2001:db8::1")));
        assert!(given("2001:db8::2") < 20, "the same household");
        let free = IceConfig::new(Ice::default());
        assert!((0..1000).all(|_| free.body("192.0.2.1".parse().unwrap()).is_some()), "there is nothing to farm");
    }
}
