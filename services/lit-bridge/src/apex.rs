//! The calls to LIT's Apex REST resources (spec, "Apex REST"). Pure.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use contracts::lit::Upload;
use salesforce::{JSON, NO_CACHE, PRETTY_PRINT};
use serde_json::value::RawValue;
use upstream::Call;

/// Reads base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Orders a dispatch.
pub fn create(body: &RawValue) -> Call {
    posted("/services/apexrest/NewDispatch", body)
}

/// Requests a cancellation.
pub fn cancel(body: &RawValue) -> Call {
    posted("/services/apexrest/CancelDispatch", body)
}

/// Changes a dispatch.
pub fn update(body: &RawValue) -> Call {
    posted("/services/apexrest/UpdateDispatch", body)
}

/// Gets one dispatch.
pub fn one(number: &str) -> Call {
    with_headers(Call::get("/services/apexrest/GetDispatch/{dispatch_number}"), JSON.1)
        .segment("dispatch_number", number)
}

/// Gets all open dispatches.
pub fn all() -> Call {
    with_headers(Call::get("/services/apexrest/GetOpenDispatchList"), JSON.1)
}

/// Attaches a file: its base64 text as a JSON string, or with `raw` the file itself.
///
/// # Errors
/// The text of the refusal, when the payload should be base64 and is not.
pub fn upload(upload: &Upload, raw: bool) -> Result<Call, &'static str> {
    let Upload { dispatch_number, payload, file_name, file_content_type } = upload;
    let content = if raw {
        // Mail programs break base64 into lines.
        let text: Vec<u8> = payload.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        BASE64.decode(text).map_err(|_| r#""payload" must be base64"#)?
    } else {
        serde_json::to_vec(payload).map_err(|_| r#""payload" must be a text"#)?
    };
    let call = Call::post("/services/apexrest/UploadDispatchFile/{dispatch_number}");
    Ok(with_headers(call, file_content_type)
        .segment("dispatch_number", dispatch_number)
        .header("filename", file_name)
        .bytes(contracts::lit::ANY_FILE, content))
}

fn posted(path: &'static str, body: &RawValue) -> Call {
    with_headers(Call::post(path), JSON.1).bytes(JSON.1, body.get().to_owned())
}

fn with_headers(call: Call, content_type: &str) -> Call {
    call.header(JSON.0, content_type).header(PRETTY_PRINT.0, PRETTY_PRINT.1).header(NO_CACHE.0, NO_CACHE.1)
}
