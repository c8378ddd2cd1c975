//! What a web server's answer is worth, by its headers.
//!
//! Invariant: what can be read must fit what was asked; what a server or the browser hides (CORS) is trusted, because
//! hashes have the last word.

use std::ops::Range;

use crate::input::Answer;

/// What to make of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The body is what was asked for.
    Asked,
    /// The body is the whole file, from its first byte.
    Whole,
    /// The server has no such file.
    Missing,
    /// It is of no use: why, in a word for a person.
    Useless(&'static str),
}

/// Looks at the answer to a request for these bytes of a file of `file_length` bytes.
pub(super) fn judge(answer: &Answer<'_>, asked: &Range<u64>, file_length: u64) -> Verdict {
    let length = answer.content_length;
    match answer.status {
        206 => match answer.content_range.map(parse_content_range) {
            Some(None) => Verdict::Useless("its answer makes no sense"),
            Some(Some((start, total))) if start != asked.start || total.is_some_and(|total| total != file_length) => {
                Verdict::Useless("it has another file there")
            }
            None if length.is_some_and(|length| length > asked.end - asked.start) => {
                Verdict::Useless("it sends other bytes than it was asked for")
            }
            _ => Verdict::Asked,
        },
        200 if length.is_some_and(|length| length != file_length) => Verdict::Useless("it has another file there"),
        200 => Verdict::Whole,
        404 | 410 => Verdict::Missing,
        401 | 403 => Verdict::Useless("it refuses"),
        416 => Verdict::Useless("its file is too short"),
        429 | 503 => Verdict::Useless("it is busy"),
        _ => Verdict::Useless("it answers with an error"),
    }
}

/// First byte, and total length where that is known, of `bytes 0-99/1234` (RFC 9110 §14.4).
fn parse_content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    (first <= last && total.is_none_or(|total| last < total)).then_some((first, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, content_range: Option<&str>, content_length: Option<u64>) -> Verdict {
        let answer = Answer { status, content_range, content_length, url: "http://a.test/" };
        judge(&answer, &(100..200), 1000)
    }

    #[test]
    fn a_part_must_be_the_part_that_was_asked_for() {
        let another = Verdict::Useless("it has another file there");
        assert_eq!(judged(206, Some("bytes 100-199/1000"), Some(100)), Verdict::Asked);
        assert_eq!(judged(206, Some("bytes 100-149/*"), None), Verdict::Asked);
        assert_eq!(judged(206, None, None), Verdict::Asked);
        assert_eq!(judged(206, Some("bytes 0-199/1000"), None), another);
        assert_eq!(judged(206, Some("bytes 100-199/999"), None), another);
        assert!(matches!(judged(206, None, Some(1000)), Verdict::Useless(_)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in
            ["", "bytes", "bytes */1000", "bytes 200-100/1000", "bytes 100-1000/1000", "bytes -1-5/9", "x 1-2/3"]
        {
            assert_eq!(judged(206, Some(text), None), Verdict::Useless("its answer makes no sense"), "{text}");
        }
        let huge = "bytes 100-99999999999999999999/1000";
        assert!(matches!(judged(206, Some(huge), None), Verdict::Useless(_)));
    }

    #[test]
    fn the_whole_file_is_told_from_an_error_page() {
        assert_eq!(judged(200, None, Some(1000)), Verdict::Whole);
        assert_eq!(judged(200, None, None), Verdict::Whole);
        assert!(matches!(judged(200, None, Some(312)), Verdict::Useless(_)));
        assert_eq!((judged(404, None, None), judged(410, None, None)), (Verdict::Missing, Verdict::Missing));
        for status in [204, 302, 400, 403, 416, 429, 500, 503] {
            assert!(matches!(judged(status, None, None), Verdict::Useless(_)), "{status}");
        }
    }
}
