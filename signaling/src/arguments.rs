//! The command line.
//!
//! Invariant: every mistake is one sentence that names it.

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Serve(Serve),
    Help,
    Version,
}

/// How to serve.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Serve {
    /// `None` is port 8080 of every address.
    pub(crate) listen: Option<String>,
    pub(crate) ice_servers: Vec<String>,
    pub(crate) max_per_ip: Option<usize>,
}

pub(crate) const HELP: &str = "\
A WebTorrent tracker and the Swarmreel site on one port.

Usage: swarmreel-signaling [options]

Options:
  --listen ADDRESS:PORT  where to listen (default: port 8080 of every address; port 0 picks a free one)
  --ice-server URL       a STUN server for the page to use, like stun:stun.example.org:3478; may be given several
                         times (default: none). TURN servers are not taken yet: they need credentials.
  --max-per-ip N         connections of one IPv4 address or one IPv6 /64 (default: 64)
  --version              print the version
  --help                 print this

Pages: / the site, /health, /stats.json, /config.json. Every path is the tracker for a WebSocket.
";

pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut serve = Serve::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let (flag, inline) = match argument.split_once('=') {
            Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
            None => (argument, None),
        };
        let mut value = || inline.clone().or_else(|| arguments.next()).ok_or(format!("{flag} needs a value."));
        match flag.as_str() {
            "--listen" => serve.listen = Some(value()?),
            "--ice-server" => serve.ice_servers.push(ice_server(value()?)?),
            "--max-per-ip" => serve.max_per_ip = Some(positive(&flag, &value()?)?),
            "--help" | "-h" => return Ok(Command::Help),
            "--version" | "-V" => return Ok(Command::Version),
            _ => return Err(format!("There is no option {flag:?}; --help lists them.")),
        }
    }
    Ok(Command::Serve(serve))
}

fn positive(flag: &str, value: &str) -> Result<usize, String> {
    match value.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{flag} needs a number from 1 up, not {value:?}.")),
    }
}

/// A STUN server's URL (RFC 7064). A browser throws at anything else, and at TURN without credentials: no connection
/// would be made at all.
fn ice_server(url: String) -> Result<String, String> {
    let after = |schemes: [&str; 2]| schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
    if after(["turn:", "turns:"]).is_some() {
        return Err(format!("--ice-server cannot take {url:?} yet: a TURN server needs credentials."));
    }
    match after(["stun:", "stuns:"]) {
        Some(host) if !host.is_empty() && !host.contains(['/', '?']) => Ok(url),
        _ => Err(format!("--ice-server needs a URL like stun:stun.example.org:3478, not {url:?}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_with_values_either_way() {
        let serve = Serve {
            listen: Some("[::1]:80".to_owned()),
            ice_servers: vec!["stun:a.example".to_owned(), "stuns:b.example:443".to_owned()],
            max_per_ip: Some(9),
        };
        let line = "--listen [::1]:80 --ice-server stun:a.example --max-per-ip=9 --ice-server=stuns:b.example:443";
        assert_eq!(parsed(line), Ok(Command::Serve(serve)));
        assert_eq!(parsed(""), Ok(Command::Serve(Serve::default())));
        assert_eq!(parsed("--listen :1 --help"), Ok(Command::Help));
        assert_eq!(parsed("-V"), Ok(Command::Version));
    }

    #[test]
    fn mistakes_are_one_sentence_that_names_them() {
        for (line, named) in [
            ("--port 80", "--port"),
            ("serve", "serve"),
            ("--listen", "--listen"),
            ("--max-per-ip 0", "\"0\""),
            ("--max-per-ip many", "\"many\""),
            ("--ice-server stun.example.org", "\"stun.example.org\""),
            ("--ice-server stun://stun.example.org", "\"stun://stun.example.org\""),
            ("--ice-server stun:stun.example.org?transport=udp", "\"stun:stun.example.org?transport=udp\""),
            ("--ice-server https://example.org", "\"https://example.org\""),
            ("--ice-server turn:turn.example.org:3478", "a TURN server needs credentials"),
            ("--ice-server turns:turn.example.org?transport=tcp", "\"turns:turn.example.org?transport=tcp\""),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(named) && error.ends_with('.') && !error.contains('\n'), "{line}: {error}");
        }
    }
}
