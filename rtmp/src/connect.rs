use crate::amf0::{Value, object};
use crate::metadata;

/// What we take, as Enhanced RTMP names it.
pub(crate) const FOUR_CCS: [&str; 4] = ["avc1", "hvc1", "mp4a", "Opus"];
/// `CapsExMask.ModEx`: we pass over ModEx prefixes. Reconnect (1) and Multitrack (2) are not offered.
const CAPS_EX: f64 = 4.0;
/// `FourCcInfoMask.CanDecode`.
const CAN_DECODE: f64 = 1.0;

/// What we keep of a `connect` command.
pub(crate) struct Connect {
    pub(crate) app: String,
    /// The query behind the application, if any; some encoders put the key there.
    pub(crate) query: String,
    pub(crate) encoder: Option<String>,
    /// It speaks Enhanced RTMP: it sent fourCcList, capsEx or one of the info maps.
    pub(crate) is_enhanced: bool,
    /// It wants command and data messages in AMF3 containers answered as AMF0, as everyone does.
    pub(crate) object_encoding: f64,
}

impl Connect {
    /// Reads the command object; what is missing stays empty.
    pub(crate) fn read(command: &Value) -> Self {
        let text = |key| command.get(key).and_then(Value::as_str).unwrap_or_default();
        // Some encoders send only tcUrl: rtmp://host/app?query
        let app = match text("app") {
            "" => text("tcUrl").splitn(4, '/').nth(3).unwrap_or_default(),
            app => app,
        };
        let (app, query) = app.split_once('?').unwrap_or((app, ""));
        Self {
            app: app.trim_matches('/').to_owned(),
            query: query.to_owned(),
            encoder: metadata::name(text("flashVer")),
            is_enhanced: ["fourCcList", "capsEx", "videoFourCcInfoMap", "audioFourCcInfoMap"]
                .iter()
                .any(|k| command.get(k).is_some()),
            object_encoding: command.get("objectEncoding").and_then(Value::as_number).unwrap_or(0.0),
        }
    }

    /// The two objects of `_result`. Enhanced RTMP does not say which of them carries the negotiation, and clients look
    /// in either, so both do.
    pub(crate) fn answer(&self) -> [Value; 2] {
        let mut properties = object([("fmsVer", "FMS/3,0,1,123".into()), ("capabilities", 31.0.into())]);
        let mut information = object([
            ("level", "status".into()),
            ("code", "NetConnection.Connect.Success".into()),
            ("description", "Connection succeeded.".into()),
            ("objectEncoding", self.object_encoding.into()),
        ]);
        if self.is_enhanced {
            for answer in [&mut properties, &mut information] {
                if let Value::Object(entries) = answer {
                    entries.extend(enhanced().map(|(k, v)| (k.to_owned(), v)));
                }
            }
        }
        [properties, information]
    }
}

/// Enhanced RTMP fields of a `connect` or of its answer.
pub(crate) fn enhanced() -> [(&'static str, Value); 4] {
    [
        ("fourCcList", Value::Array(FOUR_CCS.iter().map(|f| Value::from(*f)).collect())),
        ("videoFourCcInfoMap", object([("avc1", CAN_DECODE.into()), ("hvc1", CAN_DECODE.into())])),
        ("audioFourCcInfoMap", object([("mp4a", CAN_DECODE.into()), ("Opus", CAN_DECODE.into())])),
        ("capsEx", CAPS_EX.into()),
    ]
}
