//! A web seed: answers the engine's fetches as the script pleases.

use swarmreel::engine::{Action, Input};
use swarmreel::ids::FetchId;
use swarmreel::input::{Answer, FetchFailure};

use crate::case::Case;
use crate::driver::Driver;
use crate::script::Script;

/// Where it is.
pub(super) const URL: &str = "http://web.test/";

/// A fetch that goes on.
#[derive(Debug)]
struct Fetch {
    id: FetchId,
    url: String,
    /// The content bytes still to come, as far as the engine has it.
    at: usize,
    end: usize,
    /// Range and length of the file, for the headers.
    file: (u64, u64, u64),
}

/// What is fetched.
#[derive(Debug, Default)]
pub(super) struct Web(Vec<Fetch>);

impl Web {
    /// Takes note of what the engine wants fetched, or no longer.
    pub(super) fn note(&mut self, action: &Action, case: &Case) {
        match action {
            Action::Fetch { fetch, url, range } => {
                let name = |path: &[String]| path.iter().any(|name| url.ends_with(name.as_str()));
                let file = case.metainfo.files.iter().find(|file| name(&file.path)).expect("only files are fetched");
                let range = range.clone().unwrap_or(0..file.length);
                assert!(range.start < range.end && range.end <= file.length, "{range:?} of {}", file.length);
                self.0.push(Fetch {
                    id: *fetch,
                    url: url.clone(),
                    at: (file.offset + range.start) as usize,
                    end: (file.offset + range.end) as usize,
                    file: (range.start, range.end, file.length),
                });
            }
            Action::CancelFetch(fetch) => self.0.retain(|other| other.id != *fetch),
            _ => {}
        }
    }

    /// Something comes of a fetch. Bytes of body.
    pub(super) fn step(&mut self, script: &mut Script<'_>, driver: &mut Driver, case: &Case) -> usize {
        let at = script.below(self.0.len());
        let Some(fetch) = self.0.get_mut(at) else { return 0 };
        let (id, choice) = (fetch.id, script.byte());
        match choice % 16 {
            0..=3 => {
                let (start, end, length) = fetch.file;
                let honest = format!("bytes {start}-{}/{length}", end - 1);
                let ranges = [Some(honest.as_str()), None, Some("bytes 0-0/1"), Some("x")];
                let status = [206, 206, 206, 200, 404, 503, 416, 0][usize::from(choice >> 5)];
                let content_range = ranges[usize::from(choice >> 4 & 3)];
                let answer = Answer { status, content_range, content_length: None, url: &fetch.url };
                driver.handle(Input::FetchAnswered { fetch: id, answer });
                0
            }
            4 => self.finish(at, driver, Input::FetchEnded(id)),
            5 => self.finish(at, driver, Input::FetchFailed(id, FetchFailure::Network)),
            6 if choice == 6 => self.finish(at, driver, Input::FetchFailed(id, FetchFailure::Blocked)),
            _ => {
                let count = [1, 64, 1000, 20_000][usize::from(choice >> 6)].min(fetch.end - fetch.at);
                let mut bytes = case.content[fetch.at..fetch.at + count].to_vec();
                fetch.at += count;
                if choice & 15 == 15 {
                    bytes.first_mut().into_iter().for_each(|byte| *byte ^= 1);
                }
                driver.handle(Input::FetchData(id, &bytes));
                bytes.len()
            }
        }
    }

    fn finish(&mut self, at: usize, driver: &mut Driver, input: Input<'_>) -> usize {
        self.0.remove(at);
        driver.handle(input);
        0
    }
}
