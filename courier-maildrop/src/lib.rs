//! The maildrop filter language: nothing is here yet.
//!
//! This crate will hold the lexer, parser and compiler of `maildropfilter(7)`
//! recipes, the virtual machine that runs them with its effects as questions to
//! the host, and the engines of `reformail`, `reformime`, `makemime` and
//! `mailbot`. Until then the server files mail without a filter.
#![forbid(unsafe_code)]
