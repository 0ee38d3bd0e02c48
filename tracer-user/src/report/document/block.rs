//! The blocks of a document, one after the other.

use crate::chart::Chart;

use super::{drawing::Drawing, table::Table, text::Text};

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    /// Checked, and in order.
    Good,
    /// Some figures are incomplete or not sure.
    Caution,
    /// Figures are wrong or may not be quoted.
    Alarm,
}

/// A sentence about the figures rather than one of them: a verdict, a loss, a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How much it matters.
    pub tone: Tone,
    /// What it says, whole: no writer puts a word before it.
    pub text: Text,
}

impl Note {
    pub fn new(tone: Tone, text: impl Into<Text>) -> Self {
        Self {
            tone,
            text: text.into(),
        }
    }
}

/// Items one below the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Whether they are numbered from 1.
    pub numbered: bool,
    pub items: Vec<Text>,
}

/// What a block is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A heading; level 1 is the document's title.
    Heading {
        /// 1 – 6.
        level: u8,
        text: Text,
    },
    Paragraph(Text),
    /// A sentence about the figures.
    Note(Note),
    Table(Table),
    List(List),
    /// Lines as they are typed or were printed.
    Code(String),
    /// A chart and its figures.
    Drawing(Box<Drawing>),
}

/// A block, and the name by which others lead to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Letters, digits and `-`; unique in the document.
    pub anchor: Option<String>,
    pub content: Content,
}

impl Block {
    /// Gives the block a name to which [`Text::link`] leads.
    pub fn anchor(&mut self, anchor: impl Into<String>) -> &mut Self {
        self.anchor = Some(anchor.into());
        self
    }
}

/// A report.
///
/// ```
/// # use tracer_user::report::document::{Column, Document, Table, Tone, terminal};
/// let mut document = Document::default();
/// document.heading(1, "Run of llama-cli");
/// document.note(Tone::Good, "7 self-checks, all hold.");
/// let mut table = Table::new([Column::left("phase"), Column::right("read")]);
/// table.row(["load", "1.20 GiB"]);
/// document.table(table);
/// assert!(terminal(&document, None).contains("1.20 GiB"));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    blocks: Vec<Block>,
}

impl Document {
    /// Adds a heading of level 1 – 6.
    pub fn heading(&mut self, level: u8, text: impl Into<Text>) -> &mut Block {
        self.push(Content::Heading {
            level: level.clamp(1, 6),
            text: text.into(),
        })
    }

    /// Its charts alone.
    #[must_use]
    pub fn into_charts(self) -> Vec<Chart> {
        let drawings = self
            .blocks
            .into_iter()
            .filter_map(|block| match block.content {
                Content::Drawing(drawing) => Some(drawing.chart),
                _ => None,
            });
        drawings.collect()
    }

    pub fn paragraph(&mut self, text: impl Into<Text>) -> &mut Block {
        self.push(Content::Paragraph(text.into()))
    }

    pub fn note(&mut self, tone: Tone, text: impl Into<Text>) -> &mut Block {
        self.push(Content::Note(Note::new(tone, text)))
    }

    /// Adds notes in this order.
    pub fn notes(&mut self, notes: impl IntoIterator<Item = Note>) {
        for note in notes {
            self.push(Content::Note(note));
        }
    }

    pub fn table(&mut self, table: Table) -> &mut Block {
        self.push(Content::Table(table))
    }

    /// Adds a list of items with bullets.
    pub fn list<T: Into<Text>>(&mut self, items: impl IntoIterator<Item = T>) -> &mut Block {
        self.push(Content::List(List {
            numbered: false,
            items: items.into_iter().map(Into::into).collect(),
        }))
    }

    /// Adds a list of items with numbers.
    pub fn numbered_list<T: Into<Text>>(
        &mut self,
        items: impl IntoIterator<Item = T>,
    ) -> &mut Block {
        self.push(Content::List(List {
            numbered: true,
            items: items.into_iter().map(Into::into).collect(),
        }))
    }

    /// Adds lines as they are typed or were printed.
    pub fn code(&mut self, lines: impl Into<String>) -> &mut Block {
        self.push(Content::Code(lines.into()))
    }

    /// Adds a chart with its figures. Only a page draws it; elsewhere its sentence and its table stand for it.
    pub fn drawing(&mut self, drawing: Drawing) -> &mut Block {
        let name = drawing.chart.name.clone();
        self.push(Content::Drawing(Box::new(drawing))).anchor(name)
    }

    /// Adds another document's blocks after those of this one.
    pub fn append(&mut self, other: Self) {
        self.blocks.extend(other.blocks);
    }

    /// The blocks, in order.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Whether nothing stands in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    fn push(&mut self, content: Content) -> &mut Block {
        self.blocks.push(Block {
            anchor: None,
            content,
        });
        let last = self.blocks.len() - 1;
        &mut self.blocks[last]
    }
}
