//! Webmail's filter rules: a maildrop recipe that a program writes and reads back.
//!
//! Each rule stands in the recipe twice: as comments, from which it is read, and as
//! the statement that carries it out. `maildirfilterconfig` says where the recipe is;
//! while rules are edited they lie in `maildirfilter.tmp`.
//!
//! ```
//! use courier_maildir::filter_rules::{Kind, Match, Places, Recipe, Rule, Draft};
//!
//! let rule = Rule::new(Draft {
//!     name: "Lists".into(),
//!     kind: Kind::Contains,
//!     header: "Subject".into(),
//!     value: "[courier]".into(),
//!     matching: Match::Plain,
//!     folder: ".Lists".into(),
//!     ..Draft::default()
//! })?;
//! let mut recipe = Recipe::new("ann@example.com")?;
//! recipe.insert(0, rule)?;
//! let text = recipe.print(&Places::default());
//! assert!(text.contains(r"if ((/^Subject:.*\[courier\]/))"));
//! assert_eq!(Recipe::parse(text.as_bytes())?, recipe);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod action;
mod config;
mod edit;
mod pattern;
mod print;
mod recipe;
mod rule;

pub use action::{Action, Autoreply};
pub use config::{Config, FILE as CONFIG_FILE, config};
pub use edit::{DRAFT_FILE, FilterError, commit, discard, import, load, save};
pub use print::Places;
pub use recipe::{Recipe, RecipeError};
pub use rule::{After, Draft, Kind, Match, Part, Rule, RuleError, Sense};
