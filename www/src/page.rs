//! What the page says → commands and facts for the engine.
//!
//! Invariant: every wish with a `call` gets one `Reply` or `Refused`.

use std::time::Duration;

use swarmreel::engine::{Command, CommandError, Input, Reply, Source};
use swarmreel::ids::{LinkId, PlayId, ReadId, TorrentId};
use wasm_bindgen_futures::spawn_local;

use crate::driver::{self, Driver};
use crate::protocol::{FromPage, SeedFile, SeedOptions, ToPage};
use crate::seed;

impl Driver {
    /// Does what the page says.
    pub(crate) fn heed(&mut self, message: FromPage) {
        match message {
            FromPage::AddText { call, text, trackers, web_seeds } => {
                self.wish(call, Command::Add { source: Source::Text(text), trackers, web_seeds });
            }
            FromPage::AddTorrent { call, bytes, trackers, web_seeds } => {
                self.wish(call, Command::Add { source: Source::Torrent(bytes.to_vec()), trackers, web_seeds });
            }
            FromPage::Seed { call, files, options, trackers } => {
                spawn_local(seed(call, files, options, trackers));
            }
            FromPage::Remove { call, torrent, forget } => {
                let torrent = TorrentId(torrent);
                self.torrents.remove(&torrent);
                self.wish(call, Command::Remove { torrent, forget });
            }
            FromPage::Play { call, torrent, file } => {
                self.wish(call, Command::Play { torrent: TorrentId(torrent), file: Some(file) });
            }
            FromPage::Stop { play } => self.bid(Command::Stop { play: PlayId(play) }),
            FromPage::Read { call, torrent, file, start, end } => {
                self.wish(call, Command::Read { torrent: TorrentId(torrent), file, range: start as u64..end as u64 });
            }
            FromPage::ReadMore { read, credit } => {
                self.bid(Command::ReadMore { read: ReadId(read), credit: credit as u64 });
            }
            FromPage::CloseRead { read } => self.bid(Command::CloseRead { read: ReadId(read) }),
            FromPage::Destroy { call } => self.destroy(call),
            FromPage::MediaSupport { play, playable } => self.input(Input::MediaSupport(PlayId(play), &playable)),
            FromPage::Position { play, time, buffered_to } => self.input(Input::Position {
                play: PlayId(play),
                time: seconds(time),
                buffered_to: seconds(buffered_to),
            }),
            FromPage::Seek { play, to } => self.input(Input::Seek { play: PlayId(play), to: seconds(to) }),

            FromPage::NetworkChanged {} => self.input(Input::NetworkChanged),

            FromPage::Channel { link, channel } => {
                self.links.attach(LinkId(link), channel, self.limits.link_buffer_low);
                self.tell_if_ready(LinkId(link));
            }
            FromPage::Spare { channel } => self.links.keep_spare(channel),
            FromPage::SpareTaken { link } => self.links.take_spare(LinkId(link), self.limits.link_buffer_low),
            FromPage::Forwarded { link } => self.links.forward(LinkId(link)),
            FromPage::LinkOpened { link } => self.channel_opened(LinkId(link)),
            FromPage::LinkData { link, bytes } => self.link_data(LinkId(link), &bytes),
            FromPage::LinkBuffered { link, buffered } => {
                self.input(Input::LinkDrained { link: LinkId(link), buffered });
            }
            FromPage::LinkReachable { link, reachable } => {
                self.input(Input::LinkReachable { link: LinkId(link), reachable });
            }
            FromPage::LinkClosed { link } => self.link_closed(LinkId(link)),
            FromPage::OfferReady { link, sdp } => self.input(Input::OfferReady(LinkId(link), &sdp)),
            FromPage::AnswerReady { link, sdp } => self.input(Input::AnswerReady(LinkId(link), &sdp)),
        }
    }

    /// Puts a wish to the engine and answers the page.
    fn wish(&mut self, call: u32, command: Command) {
        let answer = match self.engine.command(self.now(), command) {
            Ok(reply) => self.reply(call, reply),
            Err(CommandError { code, message }) => ToPage::Refused { call, code: code.to_owned(), message },
        };
        self.outbox.say(&answer);
    }

    /// A wish about something that may have ended meanwhile, which is no one's mistake.
    fn bid(&mut self, command: Command) {
        let _ = self.engine.command(self.now(), command);
    }

    fn reply(&mut self, call: u32, reply: Reply) -> ToPage {
        let (id, info_hash, magnet) = match reply {
            Reply::Torrent(torrent) => {
                self.torrents.insert(torrent);
                let info_hash = self.engine.info_hash(torrent).map(|hash| hash.to_hex());
                (Some(torrent.0), info_hash, self.engine.magnet(torrent))
            }
            Reply::Play(play) => (Some(play.0), None, None),
            Reply::Read(read) => (Some(read.0), None, None),
            Reply::Done => (None, None, None),
        };
        ToPage::Reply { call, id, info_hash, magnet }
    }

    fn destroy(&mut self, call: u32) {
        for torrent in std::mem::take(&mut self.torrents) {
            self.bid(Command::Remove { torrent, forget: false });
        }
        self.outbox.say(&ToPage::Reply { call, id: None, info_hash: None, magnet: None });
    }
}

/// Hashes the files, then seeds them.
async fn seed(call: u32, files: Vec<SeedFile>, options: SeedOptions, trackers: Vec<String>) {
    let super_seed = options.super_seed;
    let made = seed::make(call, files, options, trackers.clone()).await;
    driver::enter(|driver| match made {
        Err(error) => {
            let answer = ToPage::Refused { call, code: error.code.to_owned(), message: error.message };
            driver.outbox.say(&answer);
        }
        Ok((metainfo, source)) => {
            let command = Command::Seed { metainfo: Box::new(metainfo), trackers, super_seed };
            match driver.engine.command(driver.now(), command) {
                Ok(reply) => {
                    if let Reply::Torrent(torrent) = reply {
                        driver.stores.serve(torrent, source);
                    }
                    let answer = driver.reply(call, reply);
                    driver.outbox.say(&answer);
                }
                Err(CommandError { code, message }) => {
                    driver.outbox.say(&ToPage::Refused { call, code: code.to_owned(), message });
                }
            }
        }
    });
}

/// Seconds as the page counts them; zero for what is no time.
fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}
