use std::time::{Duration, Instant};

use super::Finding;
use crate::causes::causes;
use crate::config::ModelConfig;
use crate::detect::{Detector, Filter, Overlap};
use crate::picture::Picture;
use crate::runtime::Runtime;

/// Runs beside the first, which warms up.
const RUNS: usize = 5;

/// Loads library and model and looks at a picture some times.
pub(super) fn check(config: &ModelConfig, picture: &Picture) -> Finding {
    let runtime = match Runtime::load(&config.runtime) {
        Ok(runtime) => runtime,
        Err(error) => {
            return Finding::failed(
                causes(&error),
                "run `make setup`, or name the library by --onnxruntime PATH",
            );
        }
    };
    let mut detector = match Detector::load(&runtime, &config.options) {
        Ok(detector) => detector,
        Err(error) => {
            return Finding::failed(
                causes(&error),
                "name a YOLO as ONNX by --model; models/README.md lists what is understood",
            );
        }
    };
    if let Err(error) = Filter::new(&config.rules, detector.labels()) {
        let known = detector.labels().join(", ");
        return Finding::failed(causes(&error), format!("this model knows: {known}"));
    }
    let mut times = Vec::with_capacity(RUNS);
    let mut objects = 0;
    for run in 0..=RUNS {
        let begun = Instant::now();
        match detector.detect(picture, config.rules.confidence, Overlap::REFERENCE) {
            Ok(found) => objects = found.len(),
            Err(error) => {
                return Finding::failed(causes(&error), "try another model, or another provider");
            }
        }
        if run > 0 {
            times.push(begun.elapsed());
        }
    }
    let providers: Vec<_> = detector
        .providers()
        .iter()
        .map(ToString::to_string)
        .collect();
    Finding::Ok(format!(
        "{} ({}) at {} on {}: {:.1} ms a picture of {}x{}, {objects} objects in it",
        detector.info().name,
        detector.layout().family,
        detector.input(),
        providers.join(", "),
        middle(&mut times).as_secs_f64() * 1e3,
        picture.width(),
        picture.height(),
    ))
}

/// The median.
fn middle(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_no_outlier() {
        let mut times = [9, 1, 2].map(Duration::from_secs);
        assert_eq!(middle(&mut times), Duration::from_secs(2));
        assert_eq!(middle(&mut []), Duration::ZERO);
    }
}
