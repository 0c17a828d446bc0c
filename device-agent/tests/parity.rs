//! Agreement with the Python reference (OpenCV, NumPy and ONNX Runtime), box by box.
//!
//! mAP hides errors in preparing pictures; the boxes themselves do not. The reference boxes are committed, so no
//! Python is needed here. Pictures and models that cannot be given away are looked for in `ASHYA_SHARED`, else in
//! `../shared` beside the workspace; without them those tests say so and pass.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ashya_agent::{
    Candidate, Confidence, Detector, Family, ModelOptions, Overlap, Picture, PixelBox, Provider,
    Runtime, RuntimeOptions,
};
use sha2::{Digest, Sha256};

/// x1, y1, x2, y2 in pixels, score, class.
type ReferenceBox = (f32, f32, f32, f32, f32, u32);
type Reference = BTreeMap<String, Vec<ReferenceBox>>;

#[test]
fn the_default_model_agrees_on_generated_scenes() {
    let models = root().join("models");
    check(
        &models.join("street_tiny_320.onnx"),
        &models.join("street_synth/images"),
        &models.join("reference/street_tiny_320.street_synth.json"),
        60,
    );
}

/// Two correct decoders differ where chroma is stretched, and with and without SIMD must not.
#[test]
fn every_pixel_of_a_jpeg_is_the_one_that_opencv_gives() {
    let folder = root().join("models/street_synth/images");
    let files = fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut hasher = Sha256::new();
    for file in &files {
        hasher.update(Picture::open(file).unwrap().rgb());
    }
    // Of cv2.imread(file)[..., ::-1].tobytes() of all, OpenCV 5.0.0.
    assert_eq!(
        hex::encode(hasher.finalize()),
        "31618636928ae85e0a5a9ebe5deaf70e48e1728b5a69aaaf62f6a023ff38af4e"
    );
}

/// 16-bit floats and suppression inside: `models/training/end_to_end.py` makes it of the default model.
#[test]
fn a_finished_model_agrees_on_generated_scenes() {
    let models = root().join("models");
    let model = models.join("street_tiny_320_end2end.onnx");
    assert_eq!(load(&model).layout().family, Family::EndToEnd);
    check(
        &model,
        &models.join("street_synth/images"),
        &models.join("reference/street_tiny_320_end2end.street_synth.json"),
        60,
    );
}

#[test]
fn yolov5_agrees_on_photographs() {
    let Some(shared) = shared("yolov5_agrees_on_photographs") else {
        return;
    };
    check(
        &shared.join("models/yolov5n.onnx"),
        &shared.join("images/coco128val/images"),
        &reference("yolov5n.coco128.json"),
        128,
    );
}

#[test]
fn yolo11_agrees_on_photographs() {
    let Some(shared) = shared("yolo11_agrees_on_photographs") else {
        return;
    };
    check(
        &shared.join("models/yolo11n_320_fp32dq.onnx"),
        &shared.join("images/coco128val/images"),
        &reference("yolo11n_320.coco128.json"),
        128,
    );
}

#[test]
fn yolox_agrees_on_photographs() {
    let Some(shared) = shared("yolox_agrees_on_photographs") else {
        return;
    };
    check(
        &shared.join("models/yolox_nano.onnx"),
        &shared.join("images/coco128val/images"),
        &reference("yolox_nano.coco128.json"),
        128,
    );
}

#[test]
fn well_known_photographs_show_what_everybody_sees_in_them() {
    let Some(shared) = shared("well_known_photographs_show_what_everybody_sees_in_them") else {
        return;
    };
    for model in ["yolox_nano.onnx", "yolo11n_320_fp32dq.onnx", "yolov5n.onnx"] {
        let mut detector = load(&shared.join("models").join(model));
        for (photo, wanted) in [
            (
                "dog.jpg",
                &[&["dog"][..], &["bicycle"], &["car", "truck"]][..],
            ),
            ("bus.jpg", &[&["person"], &["bus"]]),
        ] {
            let picture = Picture::open(&shared.join("images/photos").join(photo)).unwrap();
            let found = detector
                .detect(&picture, Confidence::DEFAULT, Overlap::REFERENCE)
                .unwrap();
            let labels: Vec<&str> = found.iter().map(|one| detector.label(one.class)).collect();
            for any in wanted {
                assert!(
                    any.iter().any(|label| labels.contains(label)),
                    "{model} {photo}: {labels:?}"
                );
            }
        }
    }
}

#[test]
fn a_model_that_cannot_be_used_says_why() {
    let Some(shared) = shared("a_model_that_cannot_be_used_says_why") else {
        return;
    };
    let mut options = ModelOptions::new(shared.join("models/yolov5n.onnx"));
    options.input = Some("320x320".parse().unwrap());
    let text = refusal(&options);
    assert!(
        text.contains("[1, 3, 640, 640] is fixed") && text.contains("320x320"),
        "{text}"
    );
}

#[test]
fn a_file_that_is_no_model_is_refused() {
    let text = refusal(&ModelOptions::new(root().join("Cargo.toml")));
    assert!(
        text.contains("Cargo.toml") && text.contains("ONNX Runtime cannot load"),
        "{text}"
    );
}

/// The library of the tests computes on the processor alone.
#[test]
fn a_provider_that_the_library_lacks_gives_way_to_the_processor() {
    let mut options = ModelOptions::new(root().join("models/street_tiny_320.onnx"));
    options.providers = vec![Provider::OpenVino, Provider::CoreMl];
    let mut detector = Detector::load(runtime(), &options).unwrap();
    assert_eq!(detector.providers(), [Provider::Cpu]);
    let picture = root().join("models/street_synth/images/9000000.jpg");
    let picture = Picture::open(&picture).unwrap();
    let found = detector.detect(&picture, Confidence::DEFAULT, Overlap::REFERENCE);
    assert!(!found.unwrap().is_empty());
}

fn refusal(options: &ModelOptions) -> String {
    let error = Detector::load(runtime(), options).err().unwrap();
    format!("{:#}", anyhow::Error::from(error))
}

/// Runs a model over a folder and holds its boxes against the reference.
fn check(model: &Path, pictures: &Path, reference: &Path, expected_pictures: usize) {
    let reference: Reference = serde_json::from_slice(&fs::read(reference).unwrap()).unwrap();
    assert_eq!(reference.len(), expected_pictures);
    let mut detector = load(model);
    let mut agreement = Agreement::default();
    for (stem, expected) in &reference {
        let picture = Picture::open(&pictures.join(format!("{stem}.jpg"))).unwrap();
        agreement.add(
            expected,
            detector
                .detect(&picture, Confidence::DEFAULT, Overlap::REFERENCE)
                .unwrap(),
        );
    }
    let name = model.file_stem().unwrap().to_string_lossy();
    let (share, overlap, score) = agreement.summary();
    tell(&format!(
        "{name}: {} reference boxes, {} ours, {} matched ({:.2} %), mean IoU {overlap:.5}, mean score difference {score:.6}",
        agreement.theirs,
        agreement.ours,
        agreement.matched,
        share * 100.0
    ));
    assert!(agreement.theirs > 100, "too few boxes to say anything");
    assert!(share >= 0.99, "{name}: {share} of the boxes matched");
    assert!(overlap >= 0.998, "{name}: mean IoU {overlap}");
    assert!(score <= 0.002, "{name}: mean score difference {score}");
}

#[derive(Default)]
struct Agreement {
    theirs: usize,
    ours: usize,
    matched: usize,
    overlap: f64,
    score: f64,
}

impl Agreement {
    fn add(&mut self, expected: &[ReferenceBox], mut found: Vec<Candidate>) {
        self.theirs += expected.len();
        self.ours += found.len();
        for &(x1, y1, x2, y2, score, class) in expected {
            let bounds = PixelBox { x1, y1, x2, y2 };
            let best = found
                .iter()
                .enumerate()
                .filter(|(_, object)| object.class == class)
                .map(|(index, object)| (object.bounds.overlap(&bounds), index))
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .filter(|(overlap, _)| *overlap >= 0.5);
            if let Some((overlap, index)) = best {
                let object = found.swap_remove(index);
                self.matched += 1;
                self.overlap += f64::from(overlap);
                self.score += f64::from((object.score - score).abs());
            }
        }
    }

    /// Share of all boxes, theirs and ours, that found a partner; mean overlap; mean score difference.
    fn summary(&self) -> (f64, f64, f64) {
        let matched = self.matched as f64;
        (
            matched / self.theirs.max(self.ours) as f64,
            self.overlap / matched,
            self.score / matched,
        )
    }
}

fn load(model: &Path) -> Detector {
    Detector::load(runtime(), &ModelOptions::new(model)).unwrap()
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::load(&RuntimeOptions::default()).unwrap())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn reference(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/reference")
        .join(file)
}

/// The folder of pictures and models that cannot be given away; says loudly where a test goes without it.
fn shared(test: &str) -> Option<PathBuf> {
    let folder =
        env::var_os("ASHYA_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    if folder.join("models").is_dir() && folder.join("images").is_dir() {
        return Some(folder);
    }
    tell(&format!(
        "SKIPPED {test}: {} has no models and images; ASHYA_SHARED names another folder",
        folder.display()
    ));
    None
}

/// Straight to stderr: what a passing test prints through the macros is never shown.
fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "\n{line}");
}
