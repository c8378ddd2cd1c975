//! Who looks at the metrics.
//!
//! Invariant: the fleet never waits for it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(4);

/// A look at the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Of HTTP; 0: there was no answer.
    pub(super) status: u16,
    /// Lines that are no comments: one a series.
    pub(super) series: usize,
}

/// A thread that looks whenever it is asked to.
pub(super) struct Watcher {
    ask: Sender<()>,
    told: Receiver<Page>,
}

impl Watcher {
    pub(super) fn new(server: SocketAddr, path: String) -> Self {
        let (ask, asked) = channel();
        let (tell, told) = channel();
        std::thread::spawn(move || {
            for () in asked {
                if tell.send(look(server, &path).unwrap_or_default()).is_err() {
                    return;
                }
            }
        });
        Self { ask, told }
    }

    pub(super) fn ask(&self) {
        let _ = self.ask.send(());
    }

    /// All it saw.
    pub(super) fn pages(self) -> Vec<Page> {
        drop(self.ask);
        self.told.iter().collect()
    }
}

fn look(server: SocketAddr, path: &str) -> std::io::Result<Page> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(read(&page))
}

fn read(page: &str) -> Page {
    let (head, body) = page.split_once("\r\n\r\n").unwrap_or((page, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    // A chunk's size stands on a line without a space; a series has its value behind one.
    let series = body.lines().filter(|line| !line.starts_with('#') && line.contains(' ')).count();
    Page { status, series }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_counted() {
        let page = "HTTP/1.1 200 OK\r\nx: y\r\n\r\n2f\r\n# TYPE peers gauge\npeers{kind=\"seeder\"} 3\npeers{kind=\"leecher\"} 4\n# EOF\n\r\n0\r\n\r\n";
        assert_eq!(read(page), Page { status: 200, series: 2 });
        assert_eq!(read("HTTP/1.1 404 Not Found\r\n\r\n"), Page { status: 404, series: 0 });
        assert_eq!(read("nonsense"), Page::default());
    }
}
