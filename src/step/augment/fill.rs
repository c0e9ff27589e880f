//! The value of pixels outside a picture.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};
use std::str::FromStr;

/// The value of pixels that come from outside an image: one byte for all channels, or one for each of red, green and blue.
/// In a file a number or a list of three.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected one value from 0 to 255, or a list of three: red, green, blue")]
pub enum Fill {
    /// The same byte for all channels.
    All(u8),
    /// Red, green and blue.
    Rgb([u8; 3]),
}

impl Default for Fill {
    fn default() -> Self {
        Fill::All(0)
    }
}

impl Fill {
    /// The byte of a channel.
    pub fn byte(self, channel: usize) -> u8 {
        match self {
            Fill::All(byte) => byte,
            Fill::Rgb(bytes) => bytes[channel % 3],
        }
    }

    /// The bytes of channels 0 to 3, the first one lowest; with one value for all channels they repeat from channel 4 on.
    pub fn word(self) -> u32 {
        u32::from_le_bytes([0, 1, 2, 3].map(|channel| self.byte(channel)))
    }
}

/// `128`, or `124,116,104`.
impl FromStr for Fill {
    type Err = String;

    fn from_str(text: &str) -> Result<Fill, String> {
        let bytes: Option<Vec<u8>> = text.split(',').map(|byte| byte.parse().ok()).collect();
        match bytes.as_deref() {
            Some([byte]) => Ok(Fill::All(*byte)),
            Some([red, green, blue]) => Ok(Fill::Rgb([*red, *green, *blue])),
            _ => {
                let found = text.escape_debug();
                Err(format!("fill '{found}': one value from 0 to 255 is expected, or three, fill=R,G,B"))
            }
        }
    }
}

/// The form that is read back as the same value.
impl Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Fill::All(byte) => write!(f, "{byte}"),
            Fill::Rgb([red, green, blue]) => write!(f, "{red},{green},{blue}"),
        }
    }
}
