//! Models unlike the default one: an input that is not square or has no fixed size, rows that come and go, numbers that
//! mean nothing. `tests/models/make.py` makes them; the larger two read their weights from the default model's file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ashya_agent::{
    Candidate, Confidence, Detector, Family, ModelOptions, Overlap, Picture, PixelBox, Runtime,
    RuntimeOptions, Size,
};
use tempfile::TempDir;

/// Side of the generated scenes in pixels.
const SIDE: u32 = 320;
/// Pixels from the seam of two scenes within which each changes what the model sees of the other.
const SEAM: f32 = 40.0;

/// x1, y1, x2, y2 in pixels, score, class.
type ReferenceBox = (f32, f32, f32, f32, f32, u32);

#[test]
fn an_input_of_any_size_gives_the_boxes_of_the_fixed_one() {
    let folder = models();
    let mut any = load(&folder, "any_size", Some("320x320"));
    assert_eq!(any.input(), size(SIDE, SIDE));
    let mut shown = Shown::default();
    for (stem, expected) in reference() {
        shown.add(&expected, &look(&mut any, &scene(&stem)));
    }
    assert!(shown.share() > 0.99, "{shown:?}");
}

/// Two scenes beside each other, or one above the other, fill an input that is twice as long as it is wide.
#[test]
fn an_input_that_is_not_square_shows_two_scenes_at_their_places() {
    let folder = models();
    for (model, input, above) in [
        ("wide", None, false),
        ("any_size", Some("640x320"), false),
        ("any_size", Some("320x640"), true),
    ] {
        let mut detector = load(&folder, model, input);
        let (mut first, mut second) = (Shown::default(), Shown::default());
        let scenes: Vec<_> = reference().into_iter().take(30).collect();
        for pair in scenes.chunks_exact(2) {
            let [(one, at_one), (other, at_other)] = pair else {
                unreachable!("pairs");
            };
            let both = joined(&scene(one), &scene(other), above);
            let found = look(&mut detector, &both);
            let side = SIDE as f32;
            let apart = |b: &&ReferenceBox, near_end: bool| {
                let (from, to) = if above { (b.1, b.3) } else { (b.0, b.2) };
                if near_end {
                    to < side - SEAM
                } else {
                    from > SEAM
                }
            };
            let at_one: Vec<_> = at_one.iter().filter(|b| apart(b, true)).copied().collect();
            let at_other = at_other.iter().filter(|b| apart(b, false));
            let (right, down) = if above { (0.0, side) } else { (side, 0.0) };
            let moved = at_other.map(|&(x1, y1, x2, y2, score, class)| {
                (x1 + right, y1 + down, x2 + right, y2 + down, score, class)
            });
            first.add(&at_one, &found);
            second.add(&moved.collect::<Vec<_>>(), &found);
        }
        for shown in [first, second] {
            assert!(shown.expected > 50, "{model} {input:?}: {shown:?}");
            // Below another street the model is less sure: that is not where streets are.
            assert!(shown.share() > 0.85, "{model} {input:?}: {shown:?}");
        }
    }
}

/// A square picture in a wide input has padding at its sides.
#[test]
fn a_scene_of_another_shape_than_the_input_keeps_its_boxes() {
    let mut wide = load(&models(), "wide", None);
    let mut shown = Shown::default();
    for (stem, expected) in reference() {
        shown.add(&expected, &look(&mut wide, &scene(&stem)));
    }
    // The model was trained without so much padding, and is less sure beside it.
    assert!(shown.share() > 0.8, "{shown:?}");
}

#[test]
fn rows_may_come_and_go_and_what_means_nothing_is_left_out() {
    let mut rows = load(&models(), "rows", None);
    assert_eq!(rows.layout().family, Family::EndToEnd);
    // By how light the picture is: no row; a sound one; and with it one beyond sure, one inside out, one of no name.
    for (light, objects) in [(0, 0), (64, 1), (128, 1), (192, 1), (255, 1), (0, 0)] {
        let picture = Picture::from_rgb(32, 32, vec![light; 32 * 32 * 3]).unwrap();
        let found = look(&mut rows, &picture);
        assert_eq!(found.len(), objects, "{light}: {found:?}");
        for object in found {
            let (bounds, sound) = (object.bounds, (4.0, 4.0, 20.0, 28.0));
            assert_eq!((bounds.x1, bounds.y1, bounds.x2, bounds.y2), sound);
            assert_eq!((object.score, rows.label(object.class)), (0.9, "thing"));
        }
    }
}

#[test]
fn an_output_of_whole_numbers_is_refused_by_its_name() {
    let folder = models();
    let options = ModelOptions::new(folder.path().join("counting.onnx"));
    let error = Detector::load(runtime(), &options).err().unwrap();
    let text = format!("{:#}", anyhow::Error::from(error));
    assert!(
        text.contains("output Tensor<i64>") && text.contains("expected boxes and scores"),
        "{text}"
    );
}

/// How many of the boxes that are expected were found.
#[derive(Debug, Default)]
struct Shown {
    expected: usize,
    found: usize,
}

impl Shown {
    fn add(&mut self, expected: &[ReferenceBox], found: &[Candidate]) {
        self.expected += expected.len();
        self.found += expected
            .iter()
            .filter(|&&(x1, y1, x2, y2, _, class)| {
                let bounds = PixelBox { x1, y1, x2, y2 };
                found
                    .iter()
                    .any(|one| one.class == class && one.bounds.overlap(&bounds) > 0.7)
            })
            .count();
    }

    fn share(&self) -> f64 {
        self.found as f64 / self.expected as f64
    }
}

/// The models of this test beside the default one.
fn models() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    let default = root().join("models/street_tiny_320.onnx");
    let names = ["any_size", "wide", "rows", "counting"];
    let files = names.map(|name| own.join(name).with_extension("onnx"));
    for file in files.iter().chain([&default]) {
        fs::copy(file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    folder
}

fn load(folder: &TempDir, name: &str, input: Option<&str>) -> Detector {
    let mut options = ModelOptions::new(folder.path().join(name).with_extension("onnx"));
    options.input = input.map(|size| size.parse().unwrap());
    Detector::load(runtime(), &options).unwrap()
}

fn look(detector: &mut Detector, picture: &Picture) -> Vec<Candidate> {
    detector
        .detect(picture, Confidence::DEFAULT, Overlap::REFERENCE)
        .unwrap()
}

/// The boxes that the Python reference finds in each scene with the default model.
fn reference() -> BTreeMap<String, Vec<ReferenceBox>> {
    let file = root().join("models/reference/street_tiny_320.street_synth.json");
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

fn scene(stem: &str) -> Picture {
    let folder = root().join("models/street_synth/images");
    Picture::open(&folder.join(stem).with_extension("jpg")).unwrap()
}

fn joined(one: &Picture, other: &Picture, above: bool) -> Picture {
    let row = SIDE as usize * 3;
    let rgb = if above {
        [one.rgb(), other.rgb()].concat()
    } else {
        let rows = one.rgb().chunks(row).zip(other.rgb().chunks(row));
        rows.flat_map(|(left, right)| [left, right].concat())
            .collect()
    };
    let (width, height) = if above {
        (SIDE, 2 * SIDE)
    } else {
        (2 * SIDE, SIDE)
    };
    Picture::from_rgb(width, height, rgb).unwrap()
}

const fn size(width: u32, height: u32) -> Size {
    Size { width, height }
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::load(&RuntimeOptions::default()).unwrap())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
