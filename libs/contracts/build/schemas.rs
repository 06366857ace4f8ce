//! JSON schemas of the declared types, as serde writes and reads them. What is written by hand stays open: `{}`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use syn::{Field, Fields, GenericArgument, Item, PathArguments, Type};

use super::sources::{Declared, doc, is_derived, serde_of};

/// The schemas by the types' paths, e.g. `contracts::digi::RebootRequest`.
pub fn of(types: &[Declared]) -> Value {
    let all = types.iter().filter(|declared| generics(&declared.item).is_empty());
    all.map(|declared| {
        let known = Known { types, here: &declared.path, given: BTreeMap::new() };
        (declared.path.clone(), known.declared(declared))
    })
    .collect::<Map<String, Value>>()
    .into()
}

/// What a name means at some place.
struct Known<'a> {
    types: &'a [Declared],
    /// The path of the type that is described.
    here: &'a str,
    /// The types that stand for its generic parameters.
    given: BTreeMap<String, Value>,
}

impl Known<'_> {
    fn declared(&self, declared: &Declared) -> Value {
        let schema = match &declared.item {
            Item::Struct(item) if is_derived(&item.attrs) => {
                let serde = serde_of(&item.attrs);
                self.fields(&item.fields, text(&serde, "rename_all"), has(&serde, "default"))
            }
            Item::Enum(item) if is_derived(&item.attrs) => self.variants(item),
            Item::Type(alias) => self.schema(&alias.ty),
            _ => json!({}),
        };
        described(schema, &declared.doc)
    }

    fn fields(&self, fields: &Fields, rename_all: Option<&str>, all_default: bool) -> Value {
        let fields = match fields {
            Fields::Named(fields) => &fields.named,
            // A newtype is what it holds.
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                return fields.unnamed.first().map_or(json!({}), |field| self.schema(&field.ty));
            }
            Fields::Unnamed(_) | Fields::Unit => return json!({}),
        };
        let (mut properties, mut required, mut others) = (Map::new(), Vec::new(), Vec::new());
        let mut further = None;
        for field in fields {
            let serde = serde_of(&field.attrs);
            if has(&serde, "skip") {
                continue;
            }
            let schema = self.schema(&field.ty);
            if has(&serde, "flatten") {
                match schema.get("additionalProperties") {
                    Some(value) => further = Some(value.clone()),
                    None => others.push(schema),
                }
                continue;
            }
            let name = name_of(field, &serde, rename_all);
            let may_lack = all_default || has(&serde, "default") || has(&serde, "skip_serializing_if");
            if !may_lack && !is_option(&field.ty) {
                required.push(name.clone());
            }
            properties.insert(name, described(schema, &doc(&field.attrs)));
        }
        let mut schema = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        if let Some(further) = further {
            schema["additionalProperties"] = further;
        }
        if others.is_empty() {
            return schema;
        }
        others.insert(0, schema);
        json!({"allOf": others})
    }

    fn variants(&self, item: &syn::ItemEnum) -> Value {
        let serde = serde_of(&item.attrs);
        let (untagged, tag) = (has(&serde, "untagged"), text(&serde, "tag"));
        let rename_all = text(&serde, "rename_all");
        let mut names = Vec::new();
        let mut others = Vec::new();
        for variant in &item.variants {
            let own = serde_of(&variant.attrs);
            let renamed = text(&own, "rename").map(str::to_owned);
            let name = renamed.unwrap_or_else(|| rename(&variant.ident.to_string(), rename_all, false));
            let about = doc(&variant.attrs);
            let fields = || self.fields(&variant.fields, text(&own, "rename_all"), false);
            match (&variant.fields, untagged, tag) {
                (Fields::Unit, false, None) => names.push(name),
                (Fields::Unit, true, _) => others.push(json!({"type": "null"})),
                (_, true, _) => others.push(described(fields(), &about)),
                (_, false, Some(tag)) => {
                    let tagged =
                        json!({"type": "object", "properties": {tag: {"const": name}}, "required": [tag]});
                    others.push(json!({"allOf": [tagged, fields()]}));
                }
                (_, false, None) => {
                    others.push(json!({"type": "object", "properties": {name: fields()}}));
                }
            }
        }
        if !names.is_empty() {
            others.insert(0, json!({"type": "string", "enum": names}));
        }
        match others.len() {
            1 => others.remove(0),
            _ => json!({"anyOf": others}),
        }
    }

    fn schema(&self, kind: &Type) -> Value {
        match kind {
            Type::Reference(reference) => self.schema(&reference.elem),
            Type::Array(list) => json!({"type": "array", "items": self.schema(&list.elem)}),
            Type::Slice(list) => json!({"type": "array", "items": self.schema(&list.elem)}),
            Type::Path(path) => {
                let Some(last) = path.path.segments.last() else { return json!({}) };
                let arguments: Vec<&Type> = match &last.arguments {
                    PathArguments::AngleBracketed(arguments) => arguments
                        .args
                        .iter()
                        .filter_map(|argument| match argument {
                            GenericArgument::Type(kind) => Some(kind),
                            _ => None,
                        })
                        .collect(),
                    _ => Vec::new(),
                };
                self.named(&last.ident.to_string(), &arguments)
            }
            _ => json!({}),
        }
    }

    fn named(&self, name: &str, arguments: &[&Type]) -> Value {
        let inner = |index: usize| arguments.get(index).map_or(json!({}), |kind| self.schema(kind));
        match name {
            "String" | "str" | "char" => json!({"type": "string"}),
            "bool" => json!({"type": "boolean"}),
            "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" | "isize" => {
                json!({"type": "integer"})
            }
            "f32" | "f64" | "Number" => json!({"type": "number"}),
            "DateTime" => json!({"type": "string", "format": "date-time"}),
            "Option" => or_null(inner(0)),
            "Vec" | "VecDeque" | "HashSet" | "BTreeSet" => json!({"type": "array", "items": inner(0)}),
            "IndexMap" | "HashMap" | "BTreeMap" | "Map" => {
                json!({"type": "object", "additionalProperties": inner(1)})
            }
            "Box" | "Arc" | "Rc" | "Cow" => inner(0),
            _ => self.ours(name, arguments),
        }
    }

    /// A type of this crate: of the same module, else the only one of that name.
    fn ours(&self, name: &str, arguments: &[&Type]) -> Value {
        if let Some(given) = self.given.get(name) {
            return given.clone();
        }
        let named = |declared: &&Declared| declared.path.rsplit("::").next() == Some(name);
        let near = |declared: &Declared| {
            let same = declared.path.split("::").zip(self.here.split("::"));
            same.take_while(|(one, two)| one == two).count()
        };
        let Some(found) = self.types.iter().filter(named).max_by_key(|declared| near(declared)) else {
            return json!({});
        };
        let parameters = generics(&found.item);
        if parameters.is_empty() {
            return json!({"$ref": format!("#/components/schemas/{}", found.path)});
        }
        let given = arguments.iter().map(|kind| self.schema(kind));
        let given = parameters.into_iter().zip(given).collect();
        Known { types: self.types, here: &found.path, given }.declared(found)
    }
}

fn generics(item: &Item) -> Vec<String> {
    let generics = match item {
        Item::Struct(item) => &item.generics,
        Item::Enum(item) => &item.generics,
        Item::Type(item) => &item.generics,
        _ => return Vec::new(),
    };
    generics.type_params().map(|parameter| parameter.ident.to_string()).collect()
}

fn or_null(schema: Value) -> Value {
    match schema.get("type") {
        Some(Value::String(kind)) => {
            let mut schema = schema.clone();
            schema["type"] = json!([kind, "null"]);
            schema
        }
        _ if schema.as_object().is_some_and(Map::is_empty) => schema,
        _ => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}

/// A reference has no room for a description of its own, so it is wrapped.
fn described(schema: Value, doc: &str) -> Value {
    if doc.is_empty() {
        return schema;
    }
    match schema {
        Value::Object(mut fields) if !fields.contains_key("$ref") => {
            fields.insert("description".to_owned(), json!(doc));
            Value::Object(fields)
        }
        other => json!({"allOf": [other], "description": doc}),
    }
}

fn is_option(kind: &Type) -> bool {
    matches!(kind, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
}

fn has(serde: &[(String, Option<String>)], name: &str) -> bool {
    serde.iter().any(|(known, _)| known == name)
}

fn text<'a>(serde: &'a [(String, Option<String>)], name: &str) -> Option<&'a str> {
    serde.iter().find(|(known, _)| known == name).and_then(|(_, text)| text.as_deref())
}

fn name_of(field: &Field, serde: &[(String, Option<String>)], rename_all: Option<&str>) -> String {
    let name = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
    let name = name.strip_prefix("r#").unwrap_or(&name).to_owned();
    text(serde, "rename").map_or_else(|| rename(&name, rename_all, true), str::to_owned)
}

/// As serde renames; fields are written in snake case, variants in camel case.
fn rename(name: &str, rule: Option<&str>, is_field: bool) -> String {
    let Some(rule) = rule else { return name.to_owned() };
    let mut words: Vec<String> = Vec::new();
    for part in name.split('_') {
        for (index, letter) in part.char_indices() {
            if index == 0 || (letter.is_uppercase() && !is_field) {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(letter.to_lowercase());
            }
        }
    }
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect::<String>())
            .unwrap_or_default()
    };
    match rule {
        "camelCase" => {
            let (first, rest) = words.split_first().map_or((String::new(), Vec::new()), |(first, rest)| {
                (first.clone(), rest.iter().map(|word| capital(word)).collect())
            });
            first + &rest.concat()
        }
        "PascalCase" => words.iter().map(|word| capital(word)).collect(),
        "snake_case" => words.join("_"),
        "kebab-case" => words.join("-"),
        "SCREAMING_SNAKE_CASE" => words.join("_").to_uppercase(),
        "UPPERCASE" => words.concat().to_uppercase(),
        "lowercase" => words.concat(),
        _ => name.to_owned(),
    }
}
