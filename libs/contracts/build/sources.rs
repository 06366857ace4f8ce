//! The subjects and types which the sources declare, also through this crate's own macros.

use std::{fs, path::Path};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{Attribute, Item, Meta, Type, Visibility, parse::Parser};

/// A type that implements `Rpc`.
pub struct Subject {
    /// Its path within the crate, e.g. `crate::digi::Reboot`.
    pub path: String,
    /// Its documentation.
    pub doc: String,
}

/// A type that may travel.
pub struct Declared {
    /// Its path as `std::any::type_name` tells it, e.g. `contracts::digi::RebootRequest`.
    pub path: String,
    /// Its documentation.
    pub doc: String,
    /// What it is made of.
    pub item: Item,
}

/// What the sources declare.
#[derive(Default)]
pub struct Sources {
    /// In the order of their paths.
    pub subjects: Vec<Subject>,
    /// Structures, enums and aliases.
    pub types: Vec<Declared>,
}

/// Reads a crate from its folder of sources.
pub fn read(folder: &Path) -> Sources {
    let mut sources = Sources::default();
    module(folder, &folder.join("lib.rs"), &["contracts".to_owned()], "crate", &mut sources);
    sources.subjects.sort_by(|one, two| one.path.cmp(&two.path));
    sources
}

/// One file. `public` is the path under which the rest of the crate can name what it declares.
fn module(folder: &Path, file: &Path, path: &[String], public: &str, sources: &mut Sources) {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    for item in parsed.items {
        let here = |name: &str| format!("{}::{name}", path.join("::"));
        match &item {
            Item::Mod(inner) if inner.content.is_none() && !is_test(&inner.attrs) => {
                let name = inner.ident.to_string();
                let file = folder.join(format!("{name}.rs"));
                // Private modules are re-exported whole by the one around them.
                let public = match inner.vis {
                    Visibility::Public(_) => format!("{public}::{name}"),
                    _ => public.to_owned(),
                };
                let path = [path, std::slice::from_ref(&name)].concat();
                module(&folder.join(&name), &file, &path, &public, sources);
            }
            Item::Impl(implementation) => {
                let of = implementation.trait_.as_ref().map(|(_, path, _)| path);
                let is_rpc = of.and_then(|path| path.segments.last()).is_some_and(|last| last.ident == "Rpc");
                if let (true, Type::Path(this)) = (is_rpc, &*implementation.self_ty)
                    && let Some(name) = this.path.get_ident()
                {
                    sources.subjects.push(Subject { path: format!("{public}::{name}"), doc: String::new() });
                }
            }
            Item::Struct(one) => {
                declare(sources, here(&one.ident.to_string()), doc(&one.attrs), item.clone());
            }
            Item::Enum(one) => declare(sources, here(&one.ident.to_string()), doc(&one.attrs), item.clone()),
            Item::Type(one) => declare(sources, here(&one.ident.to_string()), doc(&one.attrs), item.clone()),
            Item::Macro(call) if call.ident.is_none() => {
                let name =
                    call.mac.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default();
                let declared = declarations(call.mac.tokens.clone());
                for declaration in declared {
                    expand(&name, declaration, path, public, sources);
                }
            }
            _ => {}
        }
    }
    // A subject's documentation is that of its type.
    for subject in sources.subjects.iter_mut().filter(|subject| subject.doc.is_empty()) {
        let name = subject.path.rsplit("::").next().unwrap_or_default();
        let of_file = sources.types.iter().filter(|known| known.path.starts_with(&path.join("::")));
        let own = of_file.filter(|known| known.path.rsplit("::").next() == Some(name));
        subject.doc = own.map(|known| known.doc.clone()).next_back().unwrap_or_default();
    }
}

fn declare(sources: &mut Sources, path: String, doc: String, item: Item) {
    sources.types.push(Declared { path, doc, item });
}

/// What a macro of ours declares: `/// doc` `Name` and the rest up to the next one.
struct Declaration {
    docs: Vec<String>,
    name: String,
    rest: Vec<TokenTree>,
}

fn declarations(tokens: TokenStream) -> Vec<Declaration> {
    let mut found: Vec<Declaration> = Vec::new();
    let mut docs = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                if let Some(TokenTree::Group(group)) = tokens.next() {
                    docs.extend(doc_text(group.stream()));
                }
            }
            TokenTree::Ident(name) if !docs.is_empty() => {
                let docs = std::mem::take(&mut docs);
                found.push(Declaration { docs, name: name.to_string(), rest: Vec::new() });
            }
            other => {
                if let Some(last) = found.last_mut() {
                    last.rest.push(other);
                }
            }
        }
    }
    found
}

/// What a declaration stands for. A macro that is not known here declares nothing: its types have no schema.
fn expand(macro_name: &str, declaration: Declaration, path: &[String], public: &str, sources: &mut Sources) {
    let Declaration { docs, name, rest } = declaration;
    let doc = docs.join("\n");
    let names_a_subject = matches!(rest.get(1), Some(TokenTree::Literal(_)));
    if macro_name == "subjects" && names_a_subject {
        let path = format!("{public}::{name}");
        sources.subjects.push(Subject { path, doc: tidy(&doc) });
        return;
    }
    let fields = rest.iter().find_map(|token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group.stream()),
        _ => None,
    });
    let transparent = rest.iter().find_map(|token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => Some(group.stream()),
        _ => None,
    });
    let written = match (macro_name, fields, transparent) {
        ("rows" | "required", Some(fields), _) => {
            format!("#[derive(Serialize)] pub struct {name} {{ {} }}", typed_fields(fields))
        }
        ("filters", Some(fields), _) => {
            let fields: String = declarations(fields)
                .into_iter()
                .map(|field| format!("#[doc = {:?}] pub {}: Filter,", field.docs.join("\n"), field.name))
                .collect::<Vec<_>>()
                .concat();
            format!(
                "#[derive(Serialize)] pub struct {name} {{ {fields} #[serde(flatten)] pub filters: Filters }}"
            )
        }
        ("by_ticket_id", ..) => {
            format!(
                "#[derive(Serialize)] pub struct {name} {{ #[doc = \"The ticket.\"] pub ticket_id: TicketId }}"
            )
        }
        ("newtype", _, Some(inner)) => {
            format!("#[derive(Serialize)] #[serde(transparent)] pub struct {name}({inner});")
        }
        _ => return,
    };
    let item = syn::parse_str::<Item>(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
    declare(sources, format!("{}::{name}", path.join("::")), tidy(&doc), item);
}

/// `/// doc` `field: Type = "wire",` as fields of a structure.
fn typed_fields(fields: TokenStream) -> String {
    let mut written = String::new();
    for field in declarations(fields) {
        // The type is also the ident or path up to `=` or `,`: what `declarations` left as the rest, without the colon.
        let mut kind = TokenStream::new();
        let mut wire = None;
        let mut rest = field.rest.into_iter().skip(1);
        for token in rest.by_ref() {
            match &token {
                TokenTree::Punct(punct) if matches!(punct.as_char(), ',') => break,
                TokenTree::Punct(punct) if punct.as_char() == '=' => {}
                TokenTree::Literal(literal) => wire = Some(literal.to_string()),
                _ => kind.extend([token]),
            }
        }
        let rename = wire.map(|wire| format!("#[serde(default, rename = {wire})]")).unwrap_or_default();
        let doc = field.docs.join("\n");
        written.extend([
            "#[doc = ",
            &format!("{doc:?}"),
            "] ",
            &rename,
            " pub ",
            &field.name,
            ": ",
            &kind.to_string(),
            ",",
        ]);
    }
    written
}

/// The text of `doc = "..."`.
fn doc_text(tokens: TokenStream) -> Option<String> {
    let meta = syn::parse2::<Meta>(tokens).ok()?;
    text_of(&meta)
}

fn text_of(meta: &Meta) -> Option<String> {
    let Meta::NameValue(pair) = meta else { return None };
    if !pair.path.is_ident("doc") {
        return None;
    }
    match &pair.value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
        _ => None,
    }
}

/// The documentation in attributes.
pub fn doc(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes.iter().filter_map(|attribute| text_of(&attribute.meta)).collect();
    tidy(&lines.join("\n"))
}

/// Without the marks of links within the code.
fn tidy(doc: &str) -> String {
    let plain = doc.replace("](crate::", "](").replace("[`", "`").replace("`]", "`");
    plain.trim().to_owned()
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("cfg"))
}

/// The parts of `#[serde(...)]`, each as its name and, if it has one, its text.
pub fn serde_of(attributes: &[Attribute]) -> Vec<(String, Option<String>)> {
    let mut parts = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        let Meta::List(list) = &attribute.meta else { continue };
        let metas = syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated;
        let Ok(metas) = metas.parse2(list.tokens.clone()) else { continue };
        for meta in metas {
            let name = meta.path().get_ident().map(ToString::to_string).unwrap_or_default();
            let text = match &meta {
                Meta::NameValue(pair) => match &pair.value {
                    syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
                    _ => None,
                },
                _ => None,
            };
            parts.push((name, text));
        }
    }
    parts
}

/// Whether serde writes or reads a type by its declaration.
pub fn is_derived(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("derive")).any(|attribute| {
        let Meta::List(list) = &attribute.meta else { return false };
        list.tokens.clone().into_iter().any(|token| {
            matches!(&token, TokenTree::Ident(name) if *name == "Serialize" || *name == "Deserialize")
        })
    })
}
