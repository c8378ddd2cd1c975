//! The figures in the repository are those of the code beside them.

use swarmreel_sim::figures::{SCENES, figures, over_bound};
use swarmreel_sim::world::run;

#[test]
fn the_figures_are_those_of_this_code() {
    let (kept, now) = (include_str!("../figures.txt"), figures());
    assert!(
        kept == now,
        "tests/sim/figures.txt is not what the simulated world measures now. `cargo xtask sim --figures` writes it \
         anew; where a number got worse, the commit says why.\n\nKept:\n{kept}\nNow:\n{now}"
    );
}

#[test]
fn a_flash_crowd_of_a_hundred_is_done_within_two_and_a_half_times_the_bound() {
    let (_, _, scene) =
        SCENES.iter().find(|(name, ..)| name.starts_with("flash crowd of 100, equal")).expect("a scene");
    let plan = scene(0);
    let over = over_bound(&plan, &run(&plan));
    assert!(over <= 2.5, "{over:.2} times the bound");
}
