//! Models that read text: their tokens, and the layers that may read them.

use super::{Model, Task, described};
use crate::error::Result;
use crate::model::layers::{Embedding, Input};
use crate::text::Tokenizer;

impl Model {
    /// The tokenizer of a model that reads text.
    ///
    /// # Errors
    /// [`crate::Error::Input`] for a model that reads something else.
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        self.text.as_ref().ok_or_else(|| self.says(format!("it reads {}, expected text", self.reads())))
    }

    /// The tokenizer of what a model writes that translates.
    ///
    /// # Errors
    /// [`crate::Error::Input`] for a model that does not, or has seen no data yet.
    pub fn target_tokenizer(&self) -> Result<&Tokenizer> {
        let expected = || self.says("expected a trained model that translates, such as translator".into());
        self.target.as_ref().ok_or_else(expected)
    }

    /// The number of tokens that its embeddings have; 0 of a model that reads something else.
    pub fn vocabulary(&self) -> usize {
        let writes = self.writes();
        let mut read = self.layers.iter().zip(writes).filter(|(_, writes)| !writes).map(|(layer, _)| layer);
        read.find_map(|layer| layer.get::<Embedding>()).map_or(0, |embedding| embedding.tokens)
    }

    /// The number of tokens that a model knows of what it writes, where it translates; 0 of another.
    pub fn target_vocabulary(&self) -> usize {
        let writes = self.writes();
        let mut written = self.layers.iter().zip(writes).filter(|(_, writes)| *writes).map(|(layer, _)| layer);
        written.find_map(|layer| layer.get::<Embedding>()).map_or(0, |embedding| embedding.tokens)
    }

    /// Whether the model writes another text than the one that it reads.
    pub fn translates(&self) -> bool {
        self.layers.iter().any(|layer| layer.is::<Input>())
    }

    /// The tokens that begin and end a document, where the model continues documents; of one that continues a single text, and
    /// of all others, none.
    pub fn document_ends(&self) -> Option<[u32; 2]> {
        let continues = self.task == Task::Next && !self.translates();
        self.text.as_ref().filter(|_| continues).and_then(Tokenizer::ends)
    }

    /// Places of the text whose tokens a model of texts tells: of one that translates one more than it reads, for the end.
    pub(crate) fn written(&self) -> Option<usize> {
        let [length] = self.input[..] else { return None };
        self.text.as_ref().map(|_| length + usize::from(self.translates()))
    }

    /// What it reads, in words.
    pub fn reads(&self) -> String {
        match self.input[..] {
            [length] if self.text.is_some() => format!("texts of {length} tokens"),
            _ => described(&self.input),
        }
    }

    /// Whether tokens, and nothing else, are read by embeddings.
    pub(super) fn check_tokens(&self) -> Result<()> {
        let is_text = self.text.is_some();
        if is_text && self.input.len() != 1 {
            return Err(self.says(format!("found input = {:?} of a text, expected [tokens]", self.input)));
        }
        let known = self.text.as_ref().map_or(0, |text| text.tokens().len());
        if known > 0 && known != self.vocabulary() {
            let found = self.vocabulary();
            return Err(self.says(format!("found an embedding of {found} tokens, but a vocabulary of {known}")));
        }
        self.check_target()?;
        for (index, layer) in self.layers.iter().enumerate() {
            if layer.is::<Input>() {
                if !is_text {
                    let why = "found a second text beside what is none, expected a model with input = { tokens = N }";
                    return Err(self.error(layer.error(index, why.into())));
                }
                continue;
            }
            let embeds = layer.is::<Embedding>();
            let is_tokens = |place: Option<usize>| match place {
                None => is_text,
                Some(place) => self.layers.get(place).is_some_and(|layer| layer.is::<Input>()),
            };
            let of_tokens = layer.places(index).into_iter().any(is_tokens);
            if embeds != of_tokens {
                let why = match embeds {
                    true => {
                        "found an embedding of something other than tokens, expected it as the first layer of a model with input = { tokens = N }"
                    }
                    false => "found tokens as its input, expected an embedding first",
                };
                return Err(self.error(layer.error(index, why.into())));
            }
        }
        Ok(())
    }

    /// Whether a model that translates has one text to write, and its tokens.
    fn check_target(&self) -> Result<()> {
        let count = self.layers.iter().filter(|layer| layer.is::<Input>()).count();
        if count > 1 {
            return Err(self.says(format!("found {count} layers of type input, expected one at most")));
        }
        let known = self.target.as_ref().map_or(0, |text| text.tokens().len());
        if known > 0 && (count == 0 || known != self.target_vocabulary()) {
            let found = self.target_vocabulary();
            return Err(self.says(format!(
                "found an embedding of {found} tokens after its second input, but a vocabulary of {known}"
            )));
        }
        if let Some(target) = self.target.as_ref().filter(|target| target.ends().is_none()) {
            let found = target.tokens().len();
            return Err(self.says(format!("found {found} tokens of a translation, expected <begin> and <end> last")));
        }
        Ok(())
    }
}
