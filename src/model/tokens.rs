//! Models that read text: their tokens, and the layers that may read them.

use super::{Model, described};
use crate::error::Result;
use crate::model::layers::Embedding;
use crate::text::Tokenizer;

impl Model {
    /// The tokenizer of a model that reads text.
    ///
    /// # Errors
    /// [`crate::Error::Input`] for a model that reads something else.
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        self.text.as_ref().ok_or_else(|| self.says(format!("it reads {}, expected text", self.reads())))
    }

    /// The number of tokens that its embeddings have; 0 of a model that reads something else.
    pub fn vocabulary(&self) -> usize {
        self.layers.iter().find_map(|layer| layer.get::<Embedding>()).map_or(0, |embedding| embedding.tokens)
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
        for (index, layer) in self.layers.iter().enumerate() {
            let embeds = layer.is::<Embedding>();
            let of_tokens = is_text && layer.places(index).contains(&None);
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
}
