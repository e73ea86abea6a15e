//! What every driver must do alike: one suite, run by the tests of each.
