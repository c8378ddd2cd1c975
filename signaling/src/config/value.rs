//! The values of options, from text.
//!
//! Invariant: an error completes the sentence “`--option` needs …”.

use std::net::{IpAddr, SocketAddr};

use clap::ValueEnum;
use ipnet::IpNet;
use swarmreel_signaling::server::origin;
use tracing::Level;

/// A switch, in a variable or a file; as a flag it has no value.
pub(super) fn truth(value: &str) -> Result<bool, &'static str> {
    match value {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" | "" => Ok(false),
        _ => Err("true or false"),
    }
}

/// A number from 1 up.
pub(super) fn count(value: &str) -> Result<usize, &'static str> {
    value.parse().ok().filter(|&number| number > 0).ok_or("a number from 1 up")
}

/// Seconds between announces. Below ten, announcing is most of what clients do; beyond an hour they seem gone.
pub(super) fn interval(value: &str) -> Result<u64, &'static str> {
    value.parse().ok().filter(|seconds| (10..=3600).contains(seconds)).ok_or("a number of seconds from 10 to 3600")
}

/// Seconds that load balancers have to notice.
pub(super) fn lame_duck(value: &str) -> Result<u64, &'static str> {
    value.parse().ok().filter(|seconds| *seconds <= 3600).ok_or("a number of seconds up to 3600")
}

/// Seconds of a drain.
pub(super) fn drain(value: &str) -> Result<u64, &'static str> {
    value.parse().ok().filter(|seconds| (1..=3600).contains(seconds)).ok_or("a number of seconds from 1 to 3600")
}

/// A level of the log.
pub(super) fn level(value: &str) -> Result<Level, &'static str> {
    match value {
        "error" => Ok(Level::ERROR),
        "warn" => Ok(Level::WARN),
        "info" => Ok(Level::INFO),
        "debug" => Ok(Level::DEBUG),
        _ => Err("error, warn, info or debug"),
    }
}

/// One of a few names.
pub(super) fn choice<T: ValueEnum>(value: &str) -> Result<T, String> {
    T::from_str(value, false).map_err(|_| {
        let names: Vec<_> = T::value_variants().iter().filter_map(ValueEnum::to_possible_value).collect();
        names.iter().map(|name| name.get_name()).collect::<Vec<_>>().join(" or ")
    })
}

/// A page's origin, as browsers send it.
pub(super) fn origin(value: &str) -> Result<String, &'static str> {
    origin::parse(value).ok_or("an origin like https://example.org")
}

/// A network, or a single address.
pub(super) fn network(value: &str) -> Result<IpNet, &'static str> {
    let address = || value.parse::<IpAddr>().ok().map(IpNet::from);
    value.parse().ok().or_else(address).ok_or("a network like 10.0.0.0/8 or 2001:db8::/32")
}

/// A STUN server's URL (RFC 7064). A browser throws at anything else, and at TURN without credentials: no connection
/// would be made at all.
pub(super) fn ice_server(url: &str) -> Result<String, &'static str> {
    match url.split_once(':') {
        Some(("turn" | "turns", _)) => Err("the URL of a STUN server (--turn-url takes TURN servers)"),
        Some(("stun" | "stuns", host)) if is_host(host) => Ok(url.to_owned()),
        _ => Err("a URL like stun:stun.example.org:3478"),
    }
}

/// A TURN server's URL (RFC 7065).
pub(super) fn turn_server(url: &str) -> Result<String, &'static str> {
    let (server, transport) = url.split_once('?').unwrap_or((url, "transport=udp"));
    match server.split_once(':') {
        Some(("turn" | "turns", host)) if is_host(host) && ["transport=udp", "transport=tcp"].contains(&transport) => {
            Ok(url.to_owned())
        }
        _ => Err("a URL like turn:turn.example.org:3478 or turns:turn.example.org?transport=tcp"),
    }
}

/// A name or an address, perhaps with a port.
fn is_host(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '?', '@']) && !text.contains(char::is_whitespace)
}

/// A name that stands in other names.
pub(super) fn name(value: &str) -> Result<String, &'static str> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let all = (1..=64).contains(&value.len()) && value.bytes().all(is_good);
    all.then(|| value.to_owned()).ok_or("up to 64 letters, digits, hyphens, underscores and dots")
}

/// Where to listen: an address, or a name that stands for some, and a port.
pub(super) fn listen(value: &str) -> Result<String, &'static str> {
    let is_name = |host: &str| is_host(host) && !host.contains([':', '[', ']']);
    let is_good = match value.rsplit_once(':') {
        Some((host, port)) => port.parse::<u16>().is_ok() && is_name(host) || value.parse::<SocketAddr>().is_ok(),
        None => false,
    };
    is_good.then(|| value.to_owned()).ok_or("ADDRESS:PORT, like 127.0.0.1:8080 or [::]:8080")
}

/// Where to listen.
pub(super) fn socket_address(value: &str) -> Result<SocketAddr, &'static str> {
    value.parse().map_err(|_| "ADDRESS:PORT, like 0.0.0.0:3478 or [::]:3478")
}

/// Seconds that credentials last. In less than a minute a slow page could not use them; in a day they can be passed on.
pub(super) fn turn_lifetime(value: &str) -> Result<u64, &'static str> {
    value.parse().ok().filter(|seconds| (60..=86_400).contains(seconds)).ok_or("a number of seconds from 60 to 86400")
}
