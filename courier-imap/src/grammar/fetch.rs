//! What FETCH asks for (RFC 3501 §6.4.5).

use std::num::NonZeroU32;

use smallvec::SmallVec;

use super::lexer::{Cursor, Octets, ParseError};
use super::response;

/// The most items one FETCH may ask for.
pub const MOST_ITEMS: usize = 1000;
/// The most field names in one `HEADER.FIELDS`.
pub const MOST_FIELD_NAMES: usize = 200;
/// The most numbers in a part's address; no message is nested deeper.
pub const DEEPEST_PART: usize = 100;

/// A fact about a message that FETCH can ask for, apart from its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// `UID`
    Uid,
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822.SIZE`
    Size,
    /// `ENVELOPE`
    Envelope,
    /// `BODY`: the structure without extension data.
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
}

impl Attribute {
    /// Every attribute, in the order of our answers: short ones first.
    pub const ALL: [Self; 7] = [
        Self::Uid,
        Self::Flags,
        Self::InternalDate,
        Self::Size,
        Self::Envelope,
        Self::Body,
        Self::BodyStructure,
    ];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes(u8);

impl Attributes {
    /// This set and `attribute`.
    #[must_use]
    pub const fn with(self, attribute: Attribute) -> Self {
        Self(self.0 | attribute.bit())
    }

    /// Whether it is in the set.
    #[must_use]
    pub const fn contains(self, attribute: Attribute) -> bool {
        self.0 & attribute.bit() != 0
    }

    const FAST: Self = Self(0)
        .with(Attribute::Flags)
        .with(Attribute::InternalDate)
        .with(Attribute::Size);
    const ALL: Self = Self::FAST.with(Attribute::Envelope);
    const FULL: Self = Self::ALL.with(Attribute::Body);
}

/// Everything one FETCH asks for. What is asked twice is in it once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Items {
    /// The facts.
    pub attributes: Attributes,
    /// The pieces of text, in the order asked for.
    pub texts: SmallVec<[TextItem; 1]>,
}

/// A piece of the message's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextItem {
    /// How it was asked for, and is named in the answer.
    pub form: TextForm,
    /// Which piece.
    pub section: Section,
    /// Which octets of it, counted as on the wire; all of them if none.
    pub partial: Option<Partial>,
    /// Whether fetching it means reading it.
    pub reading: Reading,
}

/// The four names for pieces of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextForm {
    /// `BODY[…]` and `BODY.PEEK[…]`
    Body,
    /// `RFC822`
    Rfc822,
    /// `RFC822.HEADER`
    Rfc822Header,
    /// `RFC822.TEXT`
    Rfc822Text,
}

/// Whether `\Seen` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// It is.
    Marks,
    /// It is not.
    Peeks,
}

/// The octets `<offset.length>` of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial {
    /// Octets left out in front.
    pub offset: u32,
    /// Octets at most.
    pub length: NonZeroU32,
}

/// `section-spec`: a part of the message and what of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// The address of a part, such as 4.2.2; empty for the message itself.
    pub part: SmallVec<[NonZeroU32; 4]>,
    /// What of the part.
    pub text: SectionText,
}

/// What of a message or part is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SectionText {
    /// All of it: `[]`, or the body of a part.
    #[default]
    Whole,
    /// The header of the message, or of a message that is a part.
    Header,
    /// Only the fields of these names.
    Fields(Vec<Box<[u8]>>),
    /// All but the fields of these names.
    FieldsNot(Vec<Box<[u8]>>),
    /// The body of the message, or of a message that is a part.
    Text,
    /// The MIME header of a part.
    Mime,
}

impl Items {
    /// Reads what stands behind the sequence set.
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let mut items = Self::default();
        if !cursor.accept(b'(') {
            items.read_item(cursor, Macros::Allowed)?;
            return Ok(items);
        }
        let mut count = 0;
        loop {
            count += 1;
            if count > MOST_ITEMS {
                return Err(cursor.expected("at most 1000 items"));
            }
            items.read_item(cursor, Macros::Refused)?;
            if cursor.accept(b')') {
                return Ok(items);
            }
            cursor.space()?;
        }
    }

    fn read_item(&mut self, cursor: &mut Cursor<'_>, macros: Macros) -> Result<(), ParseError> {
        const WHAT: &str = "an item to fetch";
        let error = cursor.expected(WHAT);
        let mut name = [0_u8; 16];
        let given = cursor.name(WHAT)?;
        let upper = name.get_mut(..given.len()).ok_or(error)?;
        upper.copy_from_slice(given);
        upper.make_ascii_uppercase();
        let with = |attribute| self.attributes.with(attribute);
        self.attributes = match &*upper {
            b"UID" => with(Attribute::Uid),
            b"FLAGS" => with(Attribute::Flags),
            b"INTERNALDATE" => with(Attribute::InternalDate),
            b"RFC822.SIZE" => with(Attribute::Size),
            b"ENVELOPE" => with(Attribute::Envelope),
            b"BODYSTRUCTURE" => with(Attribute::BodyStructure),
            b"BODY" if cursor.peek() != Some(b'[') => with(Attribute::Body),
            b"ALL" if macros == Macros::Allowed => Attributes::ALL,
            b"FAST" if macros == Macros::Allowed => Attributes::FAST,
            b"FULL" if macros == Macros::Allowed => Attributes::FULL,
            b"BODY" => return self.read_section(cursor, Reading::Marks),
            b"BODY.PEEK" => return self.read_section(cursor, Reading::Peeks),
            b"RFC822" => return self.add(TextForm::Rfc822, SectionText::Whole, Reading::Marks),
            b"RFC822.TEXT" => {
                return self.add(TextForm::Rfc822Text, SectionText::Text, Reading::Marks);
            }
            b"RFC822.HEADER" => {
                return self.add(TextForm::Rfc822Header, SectionText::Header, Reading::Peeks);
            }
            _ => return Err(error),
        };
        Ok(())
    }

    fn add(
        &mut self,
        form: TextForm,
        text: SectionText,
        reading: Reading,
    ) -> Result<(), ParseError> {
        let section = Section {
            part: SmallVec::new(),
            text,
        };
        self.push(TextItem {
            form,
            section,
            partial: None,
            reading,
        });
        Ok(())
    }

    fn read_section(
        &mut self,
        cursor: &mut Cursor<'_>,
        reading: Reading,
    ) -> Result<(), ParseError> {
        cursor.expect(b'[', "a section in brackets")?;
        let section = Section::read(cursor)?;
        cursor.expect(b']', "the end of a section")?;
        let partial = if cursor.accept(b'<') {
            let offset = cursor.number()?;
            cursor.expect(b'.', "a dot and a length")?;
            let length = cursor.nz_number()?;
            cursor.expect(b'>', "the end of <offset.length>")?;
            Some(Partial { offset, length })
        } else {
            None
        };
        self.push(TextItem {
            form: TextForm::Body,
            section,
            partial,
            reading,
        });
        Ok(())
    }

    fn push(&mut self, item: TextItem) {
        // Names of the last items only: looking through a thousand for each would be quadratic.
        if !self.texts.iter().rev().take(8).any(|old| *old == item) {
            self.texts.push(item);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Macros {
    Allowed,
    Refused,
}

impl Section {
    /// `[section-spec]` without its brackets.
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let mut part = SmallVec::new();
        while cursor.peek().is_some_and(|octet| octet.is_ascii_digit()) {
            if part.len() >= DEEPEST_PART {
                return Err(cursor.expected("at most 100 numbers"));
            }
            part.push(cursor.nz_number()?);
            if !cursor.accept(b'.') {
                let text = SectionText::Whole;
                return Ok(Self { part, text });
            }
        }
        if part.is_empty() && cursor.peek() == Some(b']') {
            return Ok(Self::default());
        }
        let error = cursor.expected("HEADER, HEADER.FIELDS, TEXT or a number");
        let text = if cursor.accept_word("HEADER.FIELDS.NOT") {
            SectionText::FieldsNot(field_names(cursor)?)
        } else if cursor.accept_word("HEADER.FIELDS") {
            SectionText::Fields(field_names(cursor)?)
        } else if cursor.accept_word("HEADER") {
            SectionText::Header
        } else if cursor.accept_word("TEXT") {
            SectionText::Text
        } else if !part.is_empty() && cursor.accept_word("MIME") {
            SectionText::Mime
        } else {
            return Err(error);
        };
        Ok(Self { part, text })
    }

    /// Appends the section as it stands between brackets in an answer.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (index, number) in self.part.iter().enumerate() {
            if index > 0 {
                out.push(b'.');
            }
            response::number(out, u64::from(number.get()));
        }
        let (word, names) = match &self.text {
            SectionText::Whole => return,
            SectionText::Header => ("HEADER", None),
            SectionText::Fields(names) => ("HEADER.FIELDS", Some(names)),
            SectionText::FieldsNot(names) => ("HEADER.FIELDS.NOT", Some(names)),
            SectionText::Text => ("TEXT", None),
            SectionText::Mime => ("MIME", None),
        };
        if !self.part.is_empty() {
            out.push(b'.');
        }
        out.extend_from_slice(word.as_bytes());
        for (index, name) in names.into_iter().flatten().enumerate() {
            out.extend_from_slice(if index == 0 { b" (" } else { b" " });
            response::astring(out, name);
        }
        if names.is_some() {
            out.push(b')');
        }
    }
}

impl TextItem {
    /// Appends the item's name as it stands in an answer, such as `BODY[1]<0>`.
    pub fn write_name(&self, out: &mut Vec<u8>) {
        match self.form {
            TextForm::Body => {}
            TextForm::Rfc822 => return out.extend_from_slice(b"RFC822"),
            TextForm::Rfc822Header => return out.extend_from_slice(b"RFC822.HEADER"),
            TextForm::Rfc822Text => return out.extend_from_slice(b"RFC822.TEXT"),
        }
        out.extend_from_slice(b"BODY[");
        self.section.write(out);
        out.push(b']');
        if let Some(partial) = self.partial {
            out.push(b'<');
            response::number(out, u64::from(partial.offset));
            out.push(b'>');
        }
    }
}

/// `header-list`
fn field_names(cursor: &mut Cursor<'_>) -> Result<Vec<Box<[u8]>>, ParseError> {
    cursor.space()?;
    cursor.expect(b'(', "field names in parentheses")?;
    let mut names = Vec::new();
    loop {
        if names.len() >= MOST_FIELD_NAMES {
            return Err(cursor.expected("at most 200 field names"));
        }
        names.push(cursor.astring(Octets::SevenBit)?.into());
        if cursor.accept(b')') {
            return Ok(names);
        }
        cursor.space()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Result<Items, ParseError> {
        let mut cursor = Cursor::new(text.as_bytes());
        let items = Items::read(&mut cursor)?;
        cursor.end().map(|()| items)
    }

    fn names(text: &str) -> Vec<String> {
        let names = items(text).unwrap().texts;
        let name = |item: &TextItem| {
            let mut out = Vec::new();
            item.write_name(&mut out);
            String::from_utf8(out).unwrap()
        };
        names.iter().map(name).collect()
    }

    #[test]
    fn macros_stand_alone() {
        assert_eq!(items("full").unwrap().attributes, Attributes::FULL);
        assert_eq!(items("ALL").unwrap().attributes, Attributes::ALL);
        assert!(items("(FAST)").is_err() && items("FAST UID").is_err());
    }

    #[test]
    fn sections_are_named_as_asked() {
        let text = "(body[] BODY.PEEK[1.2.mime]<0.5> body.peek[header.fields (From \"a b\" to)] BODY[3.HEADER.FIELDS.NOT (X)] rfc822.text body[TEXT]<7.1>)";
        assert_eq!(
            names(text),
            [
                "BODY[]",
                "BODY[1.2.MIME]<0>",
                "BODY[HEADER.FIELDS (From \"a b\" to)]",
                "BODY[3.HEADER.FIELDS.NOT (X)]",
                "RFC822.TEXT",
                "BODY[TEXT]<7>"
            ]
        );
        let peeks: Vec<_> = items(text)
            .unwrap()
            .texts
            .iter()
            .map(|item| item.reading)
            .collect();
        use Reading::{Marks, Peeks};
        assert_eq!(peeks, [Marks, Peeks, Peeks, Marks, Marks, Marks]);
        assert_eq!(names("RFC822.HEADER"), ["RFC822.HEADER"]);
        assert_eq!(
            items("(UID UID BODY BODYSTRUCTURE BODY[] BODY[])")
                .unwrap()
                .texts
                .len(),
            1
        );
    }

    #[test]
    fn what_cannot_be_fetched_is_refused() {
        for text in [
            "",
            "()",
            "(UID",
            "(UID )",
            "X-FOO",
            "BODY[",
            "BODY[0]",
            "BODY[1",
            "BODY[1.]",
            "BODY[MIME]",
            "BODY[FOO]",
            "BODY[]<1>",
            "BODY[]<1.0>",
            "BODY[]<.1>",
            "BODY[HEADER.FIELDS]",
            "BODY[HEADER.FIELDS ()]",
            "BODY.PEEK",
            "RFC822.PEEK",
            "BODY[]<0.4294967296>",
            "BODYBODYBODYBODYBODY",
            "(UID  FLAGS)",
        ] {
            assert!(items(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_of_items() {
        let list = |word: &str, n: usize| vec![word; n].join(" ");
        assert!(items(&format!("({})", list("UID", 1000))).is_ok());
        assert!(items(&format!("({})", list("UID", 1001))).is_err());
        assert!(items(&format!("BODY[HEADER.FIELDS ({})]", list("a", 200))).is_ok());
        assert!(items(&format!("BODY[HEADER.FIELDS ({})]", list("a", 201))).is_err());
        assert!(items(&format!("BODY[{}]", ["1"; 100].join("."))).is_ok());
        assert!(items(&format!("BODY[{}]", ["1"; 101].join("."))).is_err());
    }
}
