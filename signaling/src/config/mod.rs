//! The command line, the environment and the configuration file, made into what the server takes.
//!
//! Invariant: every mistake is one sentence that names it; nothing is served until all of it is good.

mod file;
mod flags;
mod mistake;
mod resolve;
mod value;

use std::ffi::OsString;
use std::net::SocketAddr;

use clap::FromArgMatches;
use clap::error::ErrorKind;
use swarmreel_signaling::server::Options;

use flags::Flags;
pub(crate) use flags::LogFormat;

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Serve until stopped.
    Serve(Box<Config>),
    /// Say this, and leave.
    Print(String),
}

/// How to serve.
#[derive(Debug)]
pub(crate) struct Config {
    /// `None` is port 8080 of every address.
    pub(crate) listen: Option<String>,
    pub(crate) stun: StunPort,
    pub(crate) log_level: tracing::Level,
    pub(crate) log_format: LogFormat,
    /// Without the sockets, which are not open yet.
    pub(crate) options: Options,
}

/// Where our STUN server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StunPort {
    /// Where the server listens over TCP, if that can be had.
    AsTcp,
    /// Here.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

/// Reads the arguments (without the program's name), the environment, and the file that they name.
///
/// # Errors
///
/// A sentence about the first mistake.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let arguments: Vec<OsString> = std::iter::once("swarmreel-signaling".into()).chain(arguments).collect();
    let mut command = flags::command();
    let mut flags = match read(&mut command, &arguments) {
        Ok(flags) => flags,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Command::Print(error.to_string()));
        }
        Err(error) => return Err(sentence(&error, &arguments)),
    };
    if let Some(path) = &flags.config {
        let mut command = file::apply(path, flags::command())?;
        flags = read(&mut command, &arguments).map_err(|error| sentence(&error, &arguments))?;
    }
    let check_only = flags.check_config;
    let config = resolve::config(flags)?;
    Ok(if check_only {
        Command::Print("The configuration is good.\n".to_owned())
    } else {
        Command::Serve(Box::new(config))
    })
}

fn read(command: &mut clap::Command, arguments: &[OsString]) -> clap::error::Result<Flags> {
    Flags::from_arg_matches(&command.try_get_matches_from_mut(arguments)?)
}

fn sentence(error: &clap::Error, arguments: &[OsString]) -> String {
    let is_given = |flag: &str| {
        let given = arguments.iter().filter_map(|argument| argument.to_str());
        given.filter_map(|argument| argument.split('=').next()).any(|name| name == flag)
    };
    mistake::sentence(error, &|flag| match is_given(flag) {
        true => flag.to_owned(),
        false => format!("SWARMREEL_{}", flag.trim_start_matches('-').to_uppercase().replace('-', "_")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use swarmreel_signaling::TrackerLimits;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn config(line: &str) -> Config {
        match parsed(line) {
            Ok(Command::Serve(config)) => *config,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn flags_with_values_either_way() {
        let line = "--listen [::1]:80 --ice-server stun:a.example --max-per-ip=9 --ice-server=stuns:b.example:443";
        let Config { listen, options, .. } = config(line);
        assert_eq!(listen.as_deref(), Some("[::1]:80"));
        assert_eq!(options.ice.servers, ["stun:a.example", "stuns:b.example:443"]);
        assert_eq!(options.sockets.connections_per_address, 9);
        assert!(options.site);
        assert_eq!(config("--ice-server stun:a,stun:b").options.ice.servers, ["stun:a", "stun:b"]);
        for (interval, silence) in [("20", 180), ("90", 185), ("120", 245)] {
            let tracker = config(&format!("--interval {interval}")).options.tracker;
            assert_eq!(tracker.silence, Duration::from_secs(silence), "{interval}");
        }
        let announces = |line: &str| config(line).options.tracker.household_announces_per_second;
        let found = ["", "--max-per-ip 9", "--max-per-ip 9 --announces-per-ip 500"].map(announces);
        assert_eq!(found, [TrackerLimits::default().household_announces_per_second, 9, 500]);
        assert!(!config("--no-site").options.site);
        assert_eq!(config("--max-connections 5").options.sockets.connections, 5);
        let set = config("--workers 3 --drain-seconds 30").options;
        assert_eq!((set.workers, set.sockets.stop_grace), (3, Duration::from_secs(30)));
        let defaults = config("");
        assert_eq!(defaults.options.tracker.interval, TrackerLimits::default().interval);
        assert_eq!((defaults.listen, defaults.log_format), (None, LogFormat::Text));
        assert!(matches!(parsed("--listen a:1 --help"), Ok(Command::Print(help)) if help.contains("Usage")));
        assert!(matches!(parsed("-V"), Ok(Command::Print(version)) if version.starts_with("swarmreel-signaling ")));
        assert!(matches!(parsed("--check-config"), Ok(Command::Print(good)) if good == "The configuration is good.\n"));
    }

    #[test]
    fn ways_through_nats() {
        assert_eq!(config("").stun, StunPort::AsTcp);
        assert_eq!(config("--no-stun").stun, StunPort::Off);
        assert_eq!(config("--stun-listen [::]:3478").stun, StunPort::At("[::]:3478".parse().unwrap()));
        assert_eq!(config("--stun-url stun:a.example").options.ice.stun_url.as_deref(), Some("stun:a.example"));
        assert!(config("").options.ice.turn.is_none());
        let turn = config("--turn-url turn:a.example,turns:b.example?transport=tcp --turn-secret hush --turn-ttl 60");
        let turn = format!("{:?}", turn.options.ice.turn.expect("TURN servers"));
        assert!(turn.contains("turns:b.example?transport=tcp") && turn.contains("60s") && !turn.contains("hush"));
    }

    #[test]
    fn clusters() {
        assert!(config("").options.cluster.is_none());
        let line = "--cluster redis-cluster://:hush@a:1,b --cluster-prefix films --node-name a-1";
        let options = config(line).options.cluster.expect("a cluster");
        assert_eq!((options.prefix.as_str(), options.node_name.as_str()), ("films", "a-1"));
        let shown = format!("{options:?}");
        assert!(shown.contains("b:6379") && !shown.contains("hush"), "{shown}");
    }

    #[test]
    fn mistakes_are_one_sentence_that_names_them() {
        for (line, named) in [
            ("--port 80", "\"--port\""),
            ("-p", "\"-p\""),
            ("serve", "\"serve\""),
            ("--listen", "--listen needs a value"),
            ("--listen 8080", "--listen needs ADDRESS:PORT, like 127.0.0.1:8080 or [::]:8080, not \"8080\""),
            ("--listen ::1:80x", "--listen needs ADDRESS:PORT"),
            ("--listen a:b:80", "--listen needs ADDRESS:PORT"),
            ("--lame-duck-seconds 3601", "--lame-duck-seconds needs a number of seconds up to 3600"),
            ("--no-site=perhaps", "\"perhaps\""),
            ("--max-per-ip 0", "--max-per-ip needs a number from 1 up, not \"0\""),
            ("--max-per-ip many", "\"many\""),
            ("--announces-per-ip 0", "--announces-per-ip needs a number from 1 up"),
            ("--workers 0", "--workers needs a number from 1 up"),
            ("--drain-seconds 9999", "--drain-seconds needs a number of seconds from 1 to 3600"),
            ("--interval 9", "--interval needs a number of seconds from 10 to 3600, not \"9\""),
            ("--log-level loud", "--log-level needs error, warn, info or debug, not \"loud\""),
            ("--log-format=xml", "--log-format needs text or json, not \"xml\""),
            ("--ice-server stun.example.org", "\"stun.example.org\""),
            ("--ice-server stun://stun.example.org", "\"stun://stun.example.org\""),
            ("--ice-server stun:stun.example.org?transport=udp", "\"stun:stun.example.org?transport=udp\""),
            ("--ice-server https://example.org", "\"https://example.org\""),
            ("--ice-server turn:turn.example.org:3478", "--turn-url takes TURN servers"),
            ("--stun-listen 8080", "--stun-listen needs ADDRESS:PORT"),
            ("--stun-url https://a.example", "--stun-url needs a URL like stun:"),
            ("--no-stun --stun-listen 127.0.0.1:9", "--no-stun and --stun-listen"),
            ("--no-stun --stun-url stun:a.example", "--no-stun and --stun-url"),
            ("--cluster-ca ca.pem", "--cluster-ca needs --cluster"),
            ("--turn-url stun:a.example", "--turn-url needs a URL like turn:"),
            ("--turn-url turn:a.example?transport=sctp --turn-secret x", "sctp"),
            ("--turn-url turn:a.example", "--turn-url needs a secret"),
            ("--turn-secret x", "--turn-url names no server"),
            ("--turn-url turn:a.example --turn-secret x --turn-secret-file y", "exclude each other"),
            ("--turn-url turn:a.example --turn-secret-file /nowhere/secret", "/nowhere/secret cannot be read: "),
            ("--turn-ttl 59", "--turn-ttl needs a number of seconds from 60 to 86400"),
            ("--cluster http://:hush@a", "--cluster cannot be used: a Redis URL is like redis://"),
            ("--cluster redis://a,b", "redis-cluster://host,host"),
            ("--cluster rediss://a --cluster-ca /nowhere/ca.pem", "/nowhere/ca.pem cannot be read: "),
            ("--cluster-prefix a:b", "--cluster-prefix needs up to 64 letters"),
            ("--ice-server turns:turn.example.org?transport=tcp", "\"turns:turn.example.org?transport=tcp\""),
            ("--config /nowhere/swarmreel.toml", "/nowhere/swarmreel.toml cannot be read: "),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(named) && error.ends_with('.') && !error.contains('\n'), "{line}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
