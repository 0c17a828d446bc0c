use crate::detect::layout::{Family, Size};
use crate::detect::letterbox::Letterbox;
use crate::picture::Picture;

/// How a model wants its pictures. It can be copied to a thread that prepares them ahead of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preparation {
    pub(crate) family: Family,
    pub(crate) input: Size,
}

/// A picture as a model wants it.
#[derive(Debug, Default)]
pub struct Prepared {
    /// Three planes of the input's size; bytes, since several pictures may wait and floats take four times as much.
    pub(crate) planes: Vec<u8>,
    pub(crate) fit: Letterbox,
    /// The size of the picture itself.
    pub(crate) picture: Size,
}

impl Preparation {
    /// Fits a picture into the model's input; `used` lends its memory.
    pub fn prepare(self, picture: &Picture, used: Prepared) -> Prepared {
        let mut planes = used.planes;
        let size = Size::of(picture);
        let fit = Letterbox::fit(self.family, size, self.input);
        fit.fill(self.family, picture, self.input, &mut planes);
        Prepared {
            planes,
            fit,
            picture: size,
        }
    }
}
