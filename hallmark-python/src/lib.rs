//! What Python calls: the native half of the package `hallmark`, whose other half, in Python, is what people import.
//!
//! It hands over bytes and text, and lets other threads of Python run meanwhile. What is verified, and how, is
//! `binding-calls`' affair; errors and their types are made in Python.

use pyo3::prelude::*;

/// The native half of the package `hallmark`.
#[pymodule]
mod _hallmark {
    use binding_calls::{Answer, BytesSetup, Setup};
    use pyo3::exceptions::PyValueError;
    use pyo3::prelude::*;
    use pyo3::pybacked::{PyBackedBytes, PyBackedStr};

    /// The exit code of `verify image`, and the report in JSON.
    type Answered = (u8, String);

    /// A trust repository, set up.
    #[pyclass(frozen, module = "hallmark._hallmark")]
    struct Session {
        session: binding_calls::Session,
    }

    #[pymethods]
    impl Session {
        #[new]
        fn new(py: Python<'_>, options: &str, root: &[u8]) -> PyResult<Self> {
            let opened = py.detach(|| binding_calls::Session::open(&Setup::from_json(options)?, root));
            match opened {
                Ok(session) => Ok(Self { session }),
                Err(bad) => Err(PyValueError::new_err(Answer::of(Err(bad)).report)),
            }
        }

        fn verify(&self, py: Python<'_>, reference: &str) -> Answered {
            py.detach(|| answered(&Answer::to(|| self.session.verify(reference))))
        }
    }

    #[pyfunction]
    fn verify_bytes(
        py: Python<'_>,
        reference: &str,
        options: &str,
        root: &[u8],
        manifest: &[u8],
        documents: Vec<(PyBackedStr, PyBackedBytes)>,
    ) -> Answered {
        py.detach(|| {
            let documents: Vec<(&str, &[u8])> =
                documents.iter().map(|(name, bytes)| (&**name, &**bytes)).collect();
            answered(&Answer::to(|| {
                let setup = BytesSetup::from_json(options)?;
                binding_calls::verify_bytes(reference, &setup, root, manifest, &documents)
            }))
        })
    }

    fn answered(answer: &Answer) -> Answered {
        (answer.outcome as u8, answer.report.clone())
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
