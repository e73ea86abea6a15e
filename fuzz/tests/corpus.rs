//! Every target over its corpus and over random inputs from a seed, on stable.

use courier_fuzz::{TARGETS, replay::replay};

#[test]
fn every_target_holds_over_its_corpus_and_seeded_inputs() {
    for target in TARGETS {
        replay(target, 1500);
    }
}
