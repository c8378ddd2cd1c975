//! Connections, from the engine's outside: the budget, offers and answers, duplicates, sleep (threat-model W1, W2, W3, W5,
//! V2, P12, P13, P14, F15, F24; protocol.md §3.11).

mod budget;
mod desk;
mod duplicates;
mod network;
mod relayed;
