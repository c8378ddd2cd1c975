//! Target 5: an engine among one to five scripted peers, a web seed, a store, a player and a user, all of
//! whom do anything.
//!
//! Oracles: `Engine::check` after each step; nothing unverified is stored, delivered, served or announced; nobody is
//! asked for what it has not; payload bytes add up; memory is bounded by what came in.

mod message;
mod web;
mod world;

use crate::heap;
use crate::script::Script;
use world::World;

/// Steps of one session: enough to meet every limit, few enough to be quick.
const STEPS_MAX: usize = 60;

/// Plays the script.
pub fn peer_session(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let (input, held) = heap::peak(|| {
        let mut world = World::new(&mut script);
        for _ in 0..STEPS_MAX {
            if script.is_over() {
                break;
            }
            world.step(&mut script);
        }
        world.end()
    });
    heap::allow(input, held);
}
