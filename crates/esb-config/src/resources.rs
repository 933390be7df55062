//! resources.yml: what the Provisioner creates (docs/contracts/platform.md#resourcesyml).
//!
//! Items are kept as the maps that the Provisioner passes on to boto3, so that nothing of an item
//! that others wrote is lost; the typed form is `esb-model`'s.

use serde::{Deserialize, Deserializer, de::MapAccess};

use crate::{
    functions::deserialize_by_fields,
    read::{FromFields, collection, from_fields, unknown},
    value::{Fields, Value},
    write,
};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ResourcesFile {
    /// Keyword arguments of `create_table`, by `TableName`.
    pub dynamodb: Vec<Value>,
    /// By `BucketName`.
    pub s3: Vec<Value>,
    /// By `Name`.
    pub layers: Vec<Value>,
    pub extra: Fields,
    /// Keys beside `resources`.
    pub root_extra: Fields,
}

/// The keys that name the items of each list.
pub(crate) const TABLE_NAME: &str = "TableName";
pub(crate) const BUCKET_NAME: &str = "BucketName";
pub(crate) const LAYER_NAME: &str = "Name";

impl ResourcesFile {
    /// The text of the file.
    pub fn to_yaml(&self) -> String {
        let mut inner = Fields::new();
        for (key, items) in
            [("dynamodb", &self.dynamodb), ("s3", &self.s3), ("layers", &self.layers)]
        {
            if !items.is_empty() {
                inner.push((key.to_owned(), Value::List(items.clone())));
            }
        }
        inner.extend(self.extra.iter().cloned());
        let mut fields = vec![("resources".to_owned(), Value::Map(inner))];
        fields.extend(self.root_extra.iter().cloned());
        write::document(&Value::Map(fields))
    }
}

/// The map below `resources`.
#[derive(Default)]
struct Inner {
    dynamodb: Vec<Value>,
    s3: Vec<Value>,
    layers: Vec<Value>,
    extra: Fields,
}

impl FromFields for ResourcesFile {
    const EXPECTED: &'static str = "a map with `resources`";

    fn field<'de, M: MapAccess<'de>>(&mut self, key: String, map: &mut M) -> Result<(), M::Error> {
        if key == "resources" {
            let inner: Inner = map.next_value()?;
            self.dynamodb = inner.dynamodb;
            self.s3 = inner.s3;
            self.layers = inner.layers;
            self.extra = inner.extra;
            Ok(())
        } else {
            unknown(&mut self.root_extra, key, map)
        }
    }
}

impl FromFields for Inner {
    const EXPECTED: &'static str = "a map of resources";

    fn field<'de, M: MapAccess<'de>>(&mut self, key: String, map: &mut M) -> Result<(), M::Error> {
        match &*key {
            "dynamodb" => self.dynamodb = collection(map)?,
            "s3" => self.s3 = collection(map)?,
            "layers" => self.layers = collection(map)?,
            _ => unknown(&mut self.extra, key, map)?,
        }
        Ok(())
    }
}

deserialize_by_fields!(ResourcesFile, Inner);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::yaml;

    #[test]
    fn reads_and_writes() {
        let text = r#""resources":
  "dynamodb":
    - "TableName": "orders"
      "StreamSpecification":
        "StreamEnabled": true
  "s3":
    - "BucketName": "b"
  "sqs":
    - "QueueName": "q"
"note": 1.5
"#;
        let file: ResourcesFile = yaml(text).unwrap();
        assert_eq!(file.to_yaml(), text);
        for empty in ["resources: {}", "resources:", "{}"] {
            let file = yaml::<ResourcesFile>(empty).unwrap();
            assert_eq!(file.to_yaml(), "\"resources\": {}\n", "{empty}");
        }
        yaml::<ResourcesFile>("resources: []").unwrap_err();
    }
}
