//! The file with the info hashes that are served, or are not, and its exchange while the server runs (threat-model
//! S20).
//!
//! Invariant: a list is taken whole or not at all. A file with a bad line, or with fewer hashes than it says it has,
//! leaves the old list where it is.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::SystemTime;

use swarmreel::ids::InfoHash;
use tokio::sync::watch;

use crate::{Access, InfoHashes};

/// What being on the list means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// Only what is listed is served.
    Allow,
    /// What is listed is not served.
    Deny,
}

/// A list and its file: 40 hexadecimal digits a line; `#` begins a comment. A line `# count 3` says how many hashes the
/// whole file has, so that one that was cut off between two lines is noticed.
#[derive(Debug)]
pub struct AccessList {
    kind: ListKind,
    path: PathBuf,
    current: watch::Sender<Access>,
    /// Of the file that was read last, good or bad.
    seen: Mutex<Option<Stamp>>,
}

/// Tells one state of a file from the next.
type Stamp = (Option<SystemTime>, u64);

/// Why a list cannot be used.
#[derive(Debug)]
pub struct AccessError {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Unreadable(io::Error),
    BadLine(usize),
    Incomplete { expected: usize, found: usize },
}

impl fmt::Display for AccessError {
    /// A sentence without its full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.reason {
            Reason::Unreadable(error) => write!(f, "{path} cannot be read: {error}"),
            Reason::BadLine(line) => write!(f, "{path}, line {line}: an info hash has 40 hexadecimal digits"),
            Reason::Incomplete { expected, found } => {
                write!(f, "{path} has {found} info hashes and says it has {expected}")
            }
        }
    }
}

impl std::error::Error for AccessError {}

impl AccessList {
    /// Reads the file, which may take a second where it has a million lines.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or is not whole.
    pub fn load(kind: ListKind, path: PathBuf) -> Result<Self, AccessError> {
        let list = Self { kind, path, current: watch::Sender::new(Access::Open), seen: Mutex::new(None) };
        list.reload()?;
        Ok(list)
    }

    /// Reads the file again; not to be called where connections are served. Gives the number of info hashes.
    ///
    /// # Errors
    ///
    /// As [`AccessList::load`]; the old list stays.
    pub fn reload(&self) -> Result<usize, AccessError> {
        // Before the file is read: what is written meanwhile is read the next time.
        *self.seen.lock().expect("nothing panics under this lock") = Some(self.stamp());
        let list = self.read().map_err(|reason| AccessError { path: self.path.clone(), reason })?;
        let count = list.len();
        self.current.send_replace(match self.kind {
            ListKind::Allow => Access::Allow(list),
            ListKind::Deny => Access::Deny(list),
        });
        Ok(count)
    }

    /// Reads the file again if it is another than the last time, with the outcome of that.
    pub fn reload_if_changed(&self) -> Option<Result<usize, AccessError>> {
        let unchanged = *self.seen.lock().expect("nothing panics under this lock") == Some(self.stamp());
        (!unchanged).then(|| self.reload())
    }

    /// The list, now and later.
    pub(super) fn follow(&self) -> watch::Receiver<Access> {
        self.current.subscribe()
    }

    fn stamp(&self) -> Stamp {
        fs::metadata(&self.path).map_or((None, 0), |file| (file.modified().ok(), file.len()))
    }

    fn read(&self) -> Result<InfoHashes, Reason> {
        let mut file = BufReader::with_capacity(1 << 16, File::open(&self.path).map_err(Reason::Unreadable)?);
        let (mut hashes, mut expected, mut line) = (Vec::new(), None, Vec::new());
        for number in 1.. {
            line.clear();
            if file.read_until(b'\n', &mut line).map_err(Reason::Unreadable)? == 0 {
                break;
            }
            let text = str::from_utf8(&line).map_err(|_| Reason::BadLine(number))?;
            let (words, comment) = text.split_once('#').unwrap_or((text, ""));
            expected = declared(comment).or(expected);
            match words.trim() {
                "" => {}
                digits => hashes.push(InfoHash::from_hex(digits).ok_or(Reason::BadLine(number))?),
            }
        }
        match expected {
            Some(expected) if expected != hashes.len() => Err(Reason::Incomplete { expected, found: hashes.len() }),
            _ => Ok(hashes.into_iter().collect()),
        }
    }
}

/// The number in a comment like ` count 1000000`.
fn declared(comment: &str) -> Option<usize> {
    comment.trim().strip_prefix("count ")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;
    use std::time::{Duration, Instant};

    /// A file in a folder of its own, which goes with it.
    struct TempList(PathBuf);

    impl TempList {
        fn new(name: &str, text: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("swarmreel-access-{}-{name}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("list"), text).unwrap();
            Self(folder.join("list"))
        }

        fn load(&self, kind: ListKind) -> Result<AccessList, AccessError> {
            AccessList::load(kind, self.0.clone())
        }
    }

    impl Drop for TempList {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(self.0.parent().unwrap());
        }
    }

    fn serves(list: &AccessList, byte: u8) -> bool {
        list.follow().borrow().serves(&InfoHash([byte; 20]))
    }

    #[test]
    fn s20_comments_blank_lines_and_either_case() {
        let text = format!("# films\n\n{}  # the first\r\n{}\n# count 2\n", "aB".repeat(20), "0".repeat(40));
        let file = TempList::new("good", &text);
        let (allow, deny) = (file.load(ListKind::Allow).unwrap(), file.load(ListKind::Deny).unwrap());
        for (byte, listed) in [(0xab, true), (0, true), (1, false)] {
            assert_eq!((serves(&allow, byte), serves(&deny, byte)), (listed, !listed), "{byte}");
        }
    }

    #[test]
    fn s20_a_broken_file_is_refused_with_its_line_and_the_old_list_stays() {
        let good = format!("{}\n# count 1\n", "07".repeat(20));
        let file = TempList::new("broken", &good);
        let list = file.load(ListKind::Allow).unwrap();
        assert!(list.reload_if_changed().is_none(), "nothing changed");
        let one = "08".repeat(20);
        for (bad, what) in [
            (format!("{one}\n{one}0\n"), "list, line 2: an info hash has 40 hexadecimal digits"),
            (format!("{one}\n\n{}\n", "0g".repeat(20)), "list, line 3: an info hash has"),
            (format!("{one}\n{}", &one[..39]), "list, line 2: an info hash has"),
            (format!("# count 3\n{one}\n{one}\n"), "list has 2 info hashes and says it has 3"),
            ("\u{1f}\u{8b}".to_owned(), "list, line 1: an info hash has"),
        ] {
            fs::write(&file.0, &bad).unwrap();
            let error = list.reload_if_changed().expect("another length").unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
            assert!(serves(&list, 7) && !serves(&list, 8), "the old list stays: {bad}");
            assert!(list.reload_if_changed().is_none(), "a broken file is told of once");
        }
        fs::remove_file(&file.0).unwrap();
        assert!(list.reload_if_changed().unwrap().unwrap_err().to_string().contains(" cannot be read: "));
        fs::write(&file.0, format!("{one}\n")).unwrap();
        assert_eq!(list.reload_if_changed().unwrap().unwrap(), 1);
        assert!(!serves(&list, 7) && serves(&list, 8));
    }

    #[test]
    fn s20_a_million_hashes_are_read_in_moments() {
        let mut text = String::new();
        for number in 0..1_000_000_u32 {
            let spread = number.wrapping_mul(0x9e37_79b1); // odd, and so another for each
            writeln!(text, "{spread:08x}{number:032x}").unwrap();
        }
        let file = TempList::new("million", &text);
        let began = Instant::now();
        let list = file.load(ListKind::Deny).unwrap();
        // A second on a calm machine, as the row has it; this one also builds and tests.
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        assert_eq!(list.reload().unwrap(), 1_000_000);
    }
}
