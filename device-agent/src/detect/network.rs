use half::f16;
use half::slice::HalfFloatSliceExt;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::{TensorElementType, TensorRef, ValueType};
use tracing::warn;

use crate::detect::layout::{Shape, Size};
use crate::detect::metadata::Metadata;
use crate::detect::provider::{self, Provider};
use crate::detect::{DetectError, ModelOptions};
use crate::runtime::Runtime;

/// Side of the input where neither the model nor its owner says one: what most YOLO models are trained with.
const USUAL_SIDE: u32 = 640;

/// Longest side of an input in pixels: beyond it a number is a mistake, and takes gigabytes.
const MAX_SIDE: u32 = 4096;

/// A graph with one picture in and one tensor out, ready to run.
pub(crate) struct Network {
    session: Session,
    input: Size,
    planes: Planes,
    providers: Vec<Provider>,
}

/// The input in the numbers that the graph takes, kept between pictures.
enum Planes {
    Single(Vec<f32>),
    Half(Vec<f16>),
}

/// What a graph gave at its first run.
pub(crate) struct FirstRun {
    pub(crate) shape: Shape,
    pub(crate) values: Vec<f32>,
}

/// Why a graph is none that can be run.
#[derive(Debug)]
pub(crate) enum NetworkError {
    /// ONNX Runtime refuses it, with its reason.
    Runtime(String),
    /// Its inputs or outputs are not those of a detector; what was found and what is expected.
    Interface(String),
}

impl Network {
    /// Loads a graph and runs it once, on the first of the wanted providers that can, on the processor in the end.
    pub(crate) fn start(
        runtime: &Runtime,
        options: &ModelOptions,
    ) -> Result<(Self, Metadata, FirstRun), NetworkError> {
        let started = start_on(runtime, options, &options.providers);
        match started {
            // A provider can be there and yet fail at this model: too little memory, an operator, a driver.
            Err((NetworkError::Runtime(reason), on)) if on != [Provider::Cpu] => {
                warn!("the model does not run on {}, now on cpu: {reason}", on[0]);
                start_on(runtime, options, &[]).map_err(|(error, _)| error)
            }
            other => other.map_err(|(error, _)| error),
        }
    }

    /// The size of the input in pixels.
    pub(crate) const fn input(&self) -> Size {
        self.input
    }

    /// What computes it, the first one first.
    pub(crate) fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// Runs the graph on three planes of the input's size, in which white is `white`, and hands shape and values of its
    /// output to `read`.
    pub(crate) fn run<T>(
        &mut self,
        planes: &[u8],
        white: f32,
        read: impl FnOnce(&[i64], &[f32]) -> T,
    ) -> Result<T, DetectError> {
        let failed = |error: ort::Error| DetectError::Run(error.to_string());
        let shape = [1, 3, self.input.height as usize, self.input.width as usize];
        let values: [f32; 256] = std::array::from_fn(|byte| byte as f32 * white / 255.0);
        let input: SessionInputValue<'_> = match &mut self.planes {
            Planes::Single(input) => {
                translate(planes, values, input);
                TensorRef::from_array_view((shape, &**input))
                    .map_err(failed)?
                    .into()
            }
            Planes::Half(input) => {
                translate(planes, values.map(f16::from_f32), input);
                TensorRef::from_array_view((shape, &**input))
                    .map_err(failed)?
                    .into()
            }
        };
        let outputs = self.session.run([input]).map_err(failed)?;
        if let Ok((shape, values)) = outputs[0].try_extract_tensor::<f32>() {
            return Ok(read(shape, values));
        }
        let (shape, values) = outputs[0].try_extract_tensor::<f16>().map_err(failed)?;
        Ok(read(shape, &values.to_f32_vec()))
    }
}

/// Loads and runs the graph; an error comes with the providers that it happened on.
fn start_on(
    runtime: &Runtime,
    options: &ModelOptions,
    wanted: &[Provider],
) -> Result<(Network, Metadata, FirstRun), (NetworkError, Vec<Provider>)> {
    let refused = |error: ort::Error| NetworkError::Runtime(error.to_string());
    let builder =
        builder(runtime, options).map_err(|error| (refused(error), vec![Provider::Cpu]))?;
    let (mut builder, providers) = provider::add(builder, wanted);
    let mut start = || {
        let session = builder.commit_from_file(&options.file).map_err(refused)?;
        let metadata = Metadata::read(&session);
        let (input, precision) =
            interface(&session, &metadata, options.input).map_err(NetworkError::Interface)?;
        let mut network = Network {
            session,
            input,
            planes: match precision {
                TensorElementType::Float16 => Planes::Half(Vec::new()),
                _ => Planes::Single(Vec::new()),
            },
            providers: providers.clone(),
        };
        let black = vec![0; 3 * input.width as usize * input.height as usize];
        let first = network
            .run(&black, 1.0, |shape, values| FirstRun {
                shape: Shape(shape.to_vec()),
                values: values.to_vec(),
            })
            .map_err(|error| NetworkError::Runtime(error.to_string()))?;
        Ok((network, metadata, first))
    };
    start().map_err(|error| (error, providers.clone()))
}

/// Looks the number of each byte up.
fn translate<T: Copy>(bytes: &[u8], values: [T; 256], numbers: &mut Vec<T>) {
    numbers.clear();
    numbers.extend(bytes.iter().map(|&byte| values[usize::from(byte)]));
}

fn builder(
    runtime: &Runtime,
    options: &ModelOptions,
) -> ort::Result<ort::session::builder::SessionBuilder> {
    Ok(Session::builder(runtime.environment())?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(options.threads.get())?
        // Spinning threads burn the CPU that the rest of a small device needs.
        .with_intra_op_spinning(false)?
        // A plan of all tensors saves no time that could be measured, and takes ten megabytes.
        .with_memory_pattern(false)?)
}

/// Size and precision of the input, where the graph is one of a detector; else what was found and expected.
fn interface(
    session: &Session,
    metadata: &Metadata,
    wanted: Option<Size>,
) -> Result<(Size, TensorElementType), String> {
    if let Some(task) = metadata.task.as_deref().filter(|task| *task != "detect") {
        return Err(format!("its task is `{task}`, expected `detect`"));
    }
    let (inputs, outputs) = (session.inputs(), session.outputs());
    let ([input], [output]) = (inputs, outputs) else {
        return Err(format!(
            "{} inputs and {} outputs, expected one picture in and one tensor out",
            inputs.len(),
            outputs.len()
        ));
    };
    let ValueType::Tensor {
        ty: precision @ (TensorElementType::Float32 | TensorElementType::Float16),
        shape,
        ..
    } = input.dtype()
    else {
        return Err(format!(
            "input {}, expected 32-bit or 16-bit floats [1, 3, height, width]",
            input.dtype()
        ));
    };
    let ValueType::Tensor {
        ty: TensorElementType::Float32 | TensorElementType::Float16,
        ..
    } = output.dtype()
    else {
        return Err(format!(
            "output {}, expected boxes and scores in 32-bit or 16-bit floats",
            output.dtype()
        ));
    };
    input_size(shape, wanted, metadata.image_size).map(|size| (size, *precision))
}

/// The input's size: fixed in the graph; else, for a dynamic one, the owner's wish, the exporter's, the usual.
fn input_size(shape: &[i64], wanted: Option<Size>, exported: Option<Size>) -> Result<Size, String> {
    let found = || Shape(shape.to_vec());
    let &[1 | -1, 3 | -1, height, width] = shape else {
        return Err(format!("input {}, expected [1, 3, height, width]", found()));
    };
    let free = wanted.or(exported).unwrap_or(Size {
        width: USUAL_SIDE,
        height: USUAL_SIDE,
    });
    // A side that is not fixed is -1.
    let size = Size {
        width: u32::try_from(width).unwrap_or(free.width),
        height: u32::try_from(height).unwrap_or(free.height),
    };
    match wanted {
        _ if size.width.max(size.height) > MAX_SIDE => Err(format!(
            "input of {size}, expected at most {MAX_SIDE} a side"
        )),
        Some(wanted) if wanted != size => Err(format!(
            "input {} is fixed, but the settings ask for {wanted}; leave the size out",
            found()
        )),
        _ => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn size(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    #[test]
    fn the_size_of_the_input() {
        let (wide, small) = (Some(size(640, 384)), Some(size(320, 320)));
        for (shape, wanted, exported, expected) in [
            (&[1, 3, 384, 640][..], None, small, Ok(size(640, 384))),
            (&[1, 3, 384, 640], wide, None, Ok(size(640, 384))),
            (
                &[1, 3, 384, 640],
                small,
                None,
                Err("settings ask for 320x320"),
            ),
            (&[-1, 3, -1, -1], wide, small, Ok(size(640, 384))),
            (&[-1, 3, -1, -1], None, small, Ok(size(320, 320))),
            (&[-1, -1, -1, -1], None, None, Ok(size(640, 640))),
            (&[1, 3, -1, 640], small, None, Err("settings ask for")),
            (&[1, 3, -1, 640], None, wide, Ok(size(640, 384))),
            (&[1, 3, 90_000, 640], None, None, Err("at most 4096")),
            (&[1, 640, 640, 3], None, None, Err("[1, 3, height, width]")),
            (&[4, 3, 640, 640], None, None, Err("input [4, 3, 640, 640]")),
            (&[1, 3, 640], None, None, Err("input [1, 3, 640]")),
        ] {
            match (input_size(shape, wanted, exported), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{shape:?}"),
                (Err(text), Err(says)) => assert!(text.contains(says), "{shape:?}: {text}"),
                (found, _) => panic!("{shape:?}: {found:?}"),
            }
        }
    }
}
