//! Fax rendering: nothing is here yet.
//!
//! This crate will hold the dialling rules of `faxrc`, the cover page, the page
//! renderer, the G3 and G4 codecs (ITU-T T.4, T.6) and the TIFF reader and
//! writer of Courier's fax module.
#![forbid(unsafe_code)]
