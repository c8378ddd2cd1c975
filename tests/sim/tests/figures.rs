//! The figures in the repository are those of the code beside them.

use swarmreel_sim::figures::figures;

#[test]
fn the_figures_are_those_of_this_code() {
    let (kept, now) = (include_str!("../figures.txt"), figures());
    assert!(
        kept == now,
        "tests/sim/figures.txt is not what the simulated world measures now. `cargo xtask sim --figures` writes it \
         anew; where a number got worse, the commit says why.\n\nKept:\n{kept}\nNow:\n{now}"
    );
}
