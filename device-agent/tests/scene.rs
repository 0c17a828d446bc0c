//! The generated street and the default model belong together: what walks there must be found.

use std::path::Path;
use std::time::Duration;

use ashya_agent::{Confidence, Detector, ModelOptions, Overlap, Runtime, RuntimeOptions, Scene};

#[test]
fn the_default_model_finds_what_moves_in_generated_scenes() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/street_tiny_320.onnx");
    let runtime = Runtime::load(&RuntimeOptions::default()).unwrap();
    let mut detector = Detector::load(&runtime, &ModelOptions::new(model)).unwrap();
    let (mut truly, mut found, mut shown, mut right) = (0, 0, 0, 0);
    for seed in [1, 7, 42] {
        let scene = Scene::new(seed);
        for second in 0..20 {
            let (picture, truths) = scene.at(Duration::from_secs(second * 2));
            let objects = detector
                .detect(&picture, Confidence::DEFAULT, Overlap::REFERENCE)
                .unwrap();
            truly += truths.len();
            shown += objects.len();
            found += truths
                .iter()
                .filter(|truth| {
                    objects.iter().any(|object| {
                        detector.label(object.class) == truth.label
                            && object.bounds.overlap(&truth.bounds) >= 0.5
                    })
                })
                .count();
            right += objects
                .iter()
                .filter(|object| {
                    truths.iter().any(|truth| {
                        detector.label(object.class) == truth.label
                            && object.bounds.overlap(&truth.bounds) >= 0.5
                    })
                })
                .count();
        }
    }
    let (recall, precision) = (found as f64 / truly as f64, right as f64 / shown as f64);
    println!("{truly} objects, recall {recall:.3}; {shown} boxes, precision {precision:.3}");
    assert!(truly > 120, "{truly} objects are too few to say anything");
    assert!(recall >= 0.8, "recall {recall:.3}");
    assert!(precision >= 0.75, "precision {precision:.3}");
}
