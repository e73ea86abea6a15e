//! All rules of a user, and how they are read from the recipe.

use super::rule::{After, Draft, Kind, Match, Part, Rule, RuleError, Sense};

/// The rules, in the order in which they are tried, and who the user is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recipe {
    from: String,
    rules: Vec<Rule>,
}

/// Why a recipe is not edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// Somebody wrote it by hand, or a version that we do not know.
    #[error("the recipe is not one of filter rules, so it is left to whoever wrote it")]
    Foreign,
    /// A rule that was not written by us.
    #[error("line {line} of the recipe: {error}")]
    Rule {
        /// Where the rule ends, counted from 1.
        line: usize,
        /// What is wrong.
        #[source]
        error: RuleError,
    },
}

impl Recipe {
    /// Octets of a recipe that is read.
    pub const LENGTH_LIMIT: usize = 1 << 20;

    /// A recipe without rules, of the user with this address.
    ///
    /// # Errors
    /// [`RuleError::From`].
    pub fn new(from: &str) -> Result<Self, RuleError> {
        let mut recipe = Self::default();
        recipe.set_from(from)?;
        Ok(recipe)
    }

    /// The user's address, from which replies come.
    #[must_use]
    pub fn from(&self) -> &str {
        &self.from
    }

    /// Sets the user's address.
    ///
    /// # Errors
    /// [`RuleError::From`].
    pub fn set_from(&mut self, from: &str) -> Result<(), RuleError> {
        if from.contains(char::is_control) {
            return Err(RuleError::From);
        }
        from.clone_into(&mut self.from);
        Ok(())
    }

    /// The rules in order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Puts a rule at a place.
    ///
    /// # Errors
    /// When another rule has its name, or there is no such place.
    pub fn insert(&mut self, place: usize, rule: Rule) -> Result<(), RuleError> {
        if self.find(rule.name()).is_some() {
            return Err(RuleError::Exists);
        }
        if place > self.rules.len() {
            return Err(RuleError::Internal);
        }
        self.rules.insert(place, rule);
        Ok(())
    }

    /// Puts a rule in the place of another, whose name it may take over.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn replace(&mut self, place: usize, rule: Rule) -> Result<(), RuleError> {
        if self.find(rule.name()).is_some_and(|other| other != place) {
            return Err(RuleError::Exists);
        }
        *self.rules.get_mut(place).ok_or(RuleError::Internal)? = rule;
        Ok(())
    }

    /// Takes a rule out; nothing if there is none at the place.
    pub fn remove(&mut self, place: usize) -> Option<Rule> {
        (place < self.rules.len()).then(|| self.rules.remove(place))
    }

    /// Moves a rule to another place.
    ///
    /// # Errors
    /// When one of the places does not exist.
    pub fn shift(&mut self, from: usize, to: usize) -> Result<(), RuleError> {
        if from.max(to) >= self.rules.len() {
            return Err(RuleError::Internal);
        }
        let rule = self.rules.remove(from);
        self.rules.insert(to, rule);
        Ok(())
    }

    /// The place of the rule with a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.rules.iter().position(|rule| rule.name() == name)
    }

    /// Reads the rules from the comments of a recipe, version 1 or 2; statements are
    /// not looked at. Courier passes over rules that do not hold; we refuse, so that
    /// no rule is lost by saving.
    ///
    /// # Errors
    /// When the recipe is not of this kind, or one of its rules does not hold.
    pub fn parse(octets: &[u8]) -> Result<Self, RecipeError> {
        let text = std::str::from_utf8(octets).map_err(|_| RecipeError::Foreign)?;
        if text.len() > Self::LENGTH_LIMIT {
            return Err(RecipeError::Foreign);
        }
        let mut lines = text
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line));
        if !matches!(lines.next(), Some("#MFMAILDROP=1" | "#MFMAILDROP=2")) {
            return Err(RecipeError::Foreign);
        }
        let mut recipe = Self::default();
        let mut draft = Draft::default();
        let mut kind = Err(RuleError::Kind);
        for (line, text) in (2..).zip(lines) {
            let wrong = |error| RecipeError::Rule { line, error };
            let Some(comment) = text.strip_prefix("##") else {
                if let Some(from) = text.strip_prefix("FROM=") {
                    recipe.set_from(&unquoted(from)).map_err(wrong)?;
                }
                continue;
            };
            match comment.split_once(':').unwrap_or((comment, "")) {
                ("Op", value) => kind = Kind::parse(value),
                ("Header", value) => value.clone_into(&mut draft.header),
                ("Value", value) => value.clone_into(&mut draft.value),
                ("Folder", value) => value.clone_into(&mut draft.folder),
                ("From", value) => value.clone_into(&mut draft.from),
                ("PlainString", _) => draft.matching = Match::Plain,
                ("DoesNot", _) => draft.sense = Sense::DoesNot,
                ("Body", _) => draft.part = Part::Body,
                ("Continue", _) => draft.after = After::Continue,
                ("Name", value) => {
                    value.clone_into(&mut draft.name);
                    draft.kind =
                        std::mem::replace(&mut kind, Err(RuleError::Kind)).map_err(wrong)?;
                    let rule = Rule::new(std::mem::take(&mut draft)).map_err(wrong)?;
                    recipe.insert(recipe.rules.len(), rule).map_err(wrong)?;
                }
                _ => {}
            }
        }
        Ok(recipe)
    }
}

/// What stands in single quotes, without the backslashes; nothing if it does not.
fn unquoted(text: &str) -> String {
    let mut characters = text.strip_prefix('\'').unwrap_or_default().chars();
    let mut plain = String::new();
    while let Some(c) = characters.next() {
        match c {
            '\'' => break,
            '\\' => plain.extend(characters.next()),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::super::Places;
    use super::*;
    use proptest::prelude::*;

    fn places() -> Places {
        Places::new("", "/usr/bin/mailbot").expect("places")
    }

    /// What Debian's Courier 1.0.16 wrote for these rules; the blanks after
    /// `Content-Type:` and the exit status of a rejection are as later ones write them.
    const GOLDEN: &str = include_str!("recipe.golden");

    #[test]
    fn a_recipe_of_courier_is_read_and_written_octet_by_octet() {
        let recipe = Recipe::parse(GOLDEN.as_bytes()).expect("a recipe");
        assert_eq!(recipe.rules().len(), 10);
        assert_eq!(recipe.from(), "a'b\\@example.com");
        assert_eq!(recipe.print(&places()), GOLDEN);
    }

    #[test]
    fn recipes_of_others_are_not_edited() {
        for text in [
            "",
            "to \"./Maildir/.\"\n",
            "#MFMAILDROP=3\n",
            "#MFMAILDROP=2x\n",
        ] {
            assert_eq!(Recipe::parse(text.as_bytes()), Err(RecipeError::Foreign));
        }
        assert_eq!(
            Recipe::parse(b"#MFMAILDROP=2\n\xff"),
            Err(RecipeError::Foreign)
        );
        assert_eq!(Recipe::parse(b"#MFMAILDROP=1\n"), Ok(Recipe::default()));
    }

    #[test]
    fn a_rule_that_does_not_hold_is_named_by_its_line() {
        let text = "#MFMAILDROP=2\n##Op:bogus\n##Name:a\n";
        let error = RuleError::Kind;
        assert_eq!(
            Recipe::parse(text.as_bytes()),
            Err(RecipeError::Rule { line: 3, error })
        );
        let rule = "##Op:anymessage\n##Folder:.\n##Name:a\n";
        let text = format!("#MFMAILDROP=2\n{rule}{rule}");
        let error = RuleError::Exists;
        assert_eq!(
            Recipe::parse(text.as_bytes()),
            Err(RecipeError::Rule { line: 7, error })
        );
    }

    #[test]
    fn rules_are_put_moved_and_taken() {
        let rule = |name: &str| {
            let draft = Draft {
                name: name.into(),
                folder: ".".into(),
                ..Draft::default()
            };
            Rule::new(draft).expect("a rule")
        };
        let mut recipe = Recipe::default();
        for name in ["a", "b", "c"] {
            recipe.insert(0, rule(name)).expect("put");
        }
        assert_eq!(recipe.insert(0, rule("a")), Err(RuleError::Exists));
        assert_eq!(recipe.insert(9, rule("d")), Err(RuleError::Internal));
        assert_eq!(recipe.replace(0, rule("a")), Err(RuleError::Exists));
        assert_eq!(recipe.replace(0, rule("d")), Ok(()));
        assert_eq!(recipe.shift(0, 2), Ok(()));
        assert_eq!(recipe.shift(0, 3), Err(RuleError::Internal));
        let names: Vec<_> = recipe.rules().iter().map(Rule::name).collect();
        assert_eq!(names, ["b", "a", "d"]);
        assert_eq!(
            recipe.remove(1).map(|rule| rule.name().to_owned()),
            Some("a".into())
        );
        assert_eq!(recipe.remove(2), None);
    }

    fn draft() -> impl Strategy<Value = Draft> {
        let folder = prop_oneof![
            Just(".".to_owned()),
            "\\.[a-zé $\"]{1,5}(\\.[a-z]{1,5})?",
            "![a-z]{1,5}@[a-z]{1,5}( [a-z]{1,5})?",
            "\\*[a-z ]{0,9}",
            "\\+[a-z]{1,5}( dsn=1)?( days=[1-9])?( noquote)?",
            Just("exit".to_owned()),
        ];
        let texts = ("[A-Za-z-]{1,9}", "[ -~é]{1,9}", folder, "[ -~é]{0,9}");
        let kind = prop::sample::select(&Kind::ALL[..]);
        (kind, texts, any::<[bool; 4]>(), "[a-z0-9 é]{1,9}").prop_map(
            |(kind, (header, value, folder, from), on, name)| Draft {
                name,
                kind,
                header,
                value,
                folder,
                from,
                matching: if on[0] { Match::Plain } else { Match::Pattern },
                sense: if on[1] { Sense::DoesNot } else { Sense::Does },
                part: if on[2] { Part::Body } else { Part::Header },
                after: if on[3] { After::Continue } else { After::Stop },
            },
        )
    }

    proptest! {
        #[test]
        fn rules_come_back_from_their_recipe(
            from in "[ -~é]{0,12}", drafts in prop::collection::vec(draft(), 0..6)
        ) {
            let mut recipe = Recipe::new(&from).expect("an address");
            for rule in drafts.into_iter().filter_map(|draft| Rule::new(draft).ok()) {
                let _ = recipe.insert(0, rule);
            }
            let text = recipe.print(&Places::default());
            prop_assert_eq!(Recipe::parse(text.as_bytes()), Ok(recipe));
        }

        #[test]
        fn noise_is_read_without_harm(octets: Vec<u8>) {
            let _ = Recipe::parse(&octets);
            let mut text = b"#MFMAILDROP=2\n".to_vec();
            text.extend(octets);
            let _ = Recipe::parse(&text);
        }
    }
}
