//! What waits to be sent to one client.
//!
//! Invariant: never more than the limits of messages and bytes. A full outbox loses its oldest offers, never a reply;
//! a client that leaves no room even so is closed (threat-model S7).

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

/// The next thing to do for a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// Send this text.
    Send(String),
    /// Find out at once whether the client lives.
    Probe,
    /// Close with this code and these words.
    Close(u16, &'static str),
}

/// See the module.
pub(super) struct Outbox {
    messages_max: usize,
    bytes_max: usize,
    queue: Mutex<Queue>,
    news: Notify,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    bytes: usize,
    probe: bool,
    close: Option<(u16, &'static str)>,
}

struct Message {
    text: String,
    droppable: bool,
}

impl Outbox {
    pub(super) fn new(messages_max: usize, bytes_max: usize) -> Self {
        Self { messages_max, bytes_max, queue: Mutex::default(), news: Notify::new() }
    }

    pub(super) fn send(&self, text: String, droppable: bool) {
        let mut queue = self.queue();
        if queue.close.is_some() {
            return;
        }
        while queue.messages.len() >= self.messages_max || queue.bytes + text.len() > self.bytes_max {
            if !queue.drop_oldest_droppable() {
                if !droppable {
                    *queue = Queue { close: Some((1008, "reading too slowly")), ..Queue::default() };
                    self.news.notify_one();
                }
                return;
            }
        }
        queue.bytes += text.len();
        queue.messages.push_back(Message { text, droppable });
        self.news.notify_one();
    }

    pub(super) fn probe(&self) {
        self.queue().probe = true;
        self.news.notify_one();
    }

    /// What was queued before is still sent.
    pub(super) fn close(&self, code: u16, reason: &'static str) {
        self.queue().close.get_or_insert((code, reason));
        self.news.notify_one();
    }

    /// Waits for something to do. Nothing is lost if the wait is given up.
    pub(super) async fn next(&self) -> Errand {
        loop {
            if let Some(errand) = self.queue().next() {
                return errand;
            }
            self.news.notified().await;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nothing panics under this lock")
    }
}

impl Queue {
    fn next(&mut self) -> Option<Errand> {
        if std::mem::take(&mut self.probe) {
            return Some(Errand::Probe);
        }
        let Some(message) = self.messages.pop_front() else {
            return self.close.map(|(code, reason)| Errand::Close(code, reason));
        };
        self.bytes -= message.text.len();
        Some(Errand::Send(message.text))
    }

    fn drop_oldest_droppable(&mut self) -> bool {
        let oldest = self.messages.iter().position(|message| message.droppable);
        let dropped = oldest.and_then(|index| self.messages.remove(index));
        self.bytes -= dropped.as_ref().map_or(0, |message| message.text.len());
        dropped.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(outbox: &Outbox) -> String {
        let mut words = Vec::new();
        while let Some(errand) = outbox.queue().next() {
            match errand {
                Errand::Send(text) => words.push(text),
                Errand::Probe => words.push("?".to_owned()),
                Errand::Close(code, _) => {
                    words.push(code.to_string());
                    break;
                }
            }
        }
        words.join(" ")
    }

    /// An outbox for 3 messages and 10 bytes, after these sends; offers are in capitals.
    fn after(sends: &str) -> String {
        let outbox = Outbox::new(3, 10);
        for word in sends.split(' ') {
            outbox.send(word.to_owned(), word.chars().all(char::is_uppercase));
            assert!(outbox.queue().bytes <= 10 && outbox.queue().messages.len() <= 3);
        }
        contents(&outbox)
    }

    #[test]
    fn s7_a_full_outbox_loses_the_oldest_offers_only() {
        assert_eq!(after("a B c"), "a B c");
        assert_eq!(after("a B C d"), "a C d", "too many");
        assert_eq!(after("aaaa BBBB cccc"), "aaaa cccc", "too long");
        assert_eq!(after("A B C DDDDDDDDD"), "C DDDDDDDDD");
        assert_eq!(after("a b c D e"), "1008", "nothing left to lose");
        assert_eq!(after("a b c D"), "a b c");
    }

    #[test]
    fn probes_come_first_and_the_close_last() {
        let outbox = Outbox::new(3, 10);
        outbox.send("a".to_owned(), false);
        outbox.close(1001, "first");
        outbox.close(1002, "second");
        outbox.send("b".to_owned(), false);
        outbox.probe();
        assert_eq!(contents(&outbox), "? a 1001");
    }
}
