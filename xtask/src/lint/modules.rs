//! The tree of a crate's modules: where each name is defined, and what each module names.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use syn::{Attribute, Expr, Item, ItemMod, Lit, Meta, visit::Visit as _};

use super::{
    finding::Finding,
    references::{Reference, References, attributes, is_test},
    sources::Sources,
};

/// What a name stands for.
#[derive(Debug)]
pub enum Binding {
    /// A module, by its index.
    Module(usize),
    /// Something that is defined here.
    Item,
    /// What a path leads to.
    Import(Vec<String>),
}

/// One module, in a file of its own or not.
#[derive(Debug)]
pub struct Module {
    /// Names from the crate's root.
    pub path: Vec<String>,
    /// The file, from the workspace's root.
    pub file: PathBuf,
    /// Index of the module that it is in.
    pub parent: Option<usize>,
    /// What its names stand for.
    pub names: HashMap<String, Vec<Binding>>,
    /// Paths of which all names are names here too.
    pub globs: Vec<Vec<String>>,
    /// What its code names.
    pub references: Vec<Reference>,
}

/// The modules of a crate outside of tests; the first is the root.
#[derive(Debug, Default)]
pub struct Modules {
    /// The modules.
    pub all: Vec<Module>,
    /// Every file that was found through `mod`, those of tests too.
    pub files: BTreeSet<PathBuf>,
    /// Modules without a file.
    pub findings: Vec<Finding>,
}

impl Modules {
    /// The modules from a root file on.
    pub fn of(sources: &Sources, root: &Path) -> Self {
        let mut modules = Self::default();
        let folder = root.parent().unwrap_or(root).to_owned();
        modules.add_file(sources, root, &folder, Place::root());
        modules
    }

    fn add_file(&mut self, sources: &Sources, file: &Path, folder: &Path, place: Place) -> usize {
        self.files.insert(file.to_owned());
        let items = sources
            .files
            .get(file)
            .map_or(&[] as &[Item], |source| &source.syntax.items);
        self.add(sources, file, folder, place, items)
    }

    /// Adds a module; `folder` is where the files of its modules are.
    fn add(
        &mut self,
        sources: &Sources,
        file: &Path,
        folder: &Path,
        place: Place,
        items: &[Item],
    ) -> usize {
        let index = self.all.len();
        self.all.push(Module {
            path: place.path.clone(),
            file: file.to_owned(),
            parent: place.parent,
            names: HashMap::new(),
            globs: Vec::new(),
            references: Vec::new(),
        });
        let mut references = References::default();
        for item in items {
            let test = place.test || is_test(attributes(item));
            if let Item::Mod(item) = item {
                let place = Place {
                    path: [place.path.as_slice(), &[item.ident.to_string()]].concat(),
                    parent: Some(index),
                    test,
                };
                let child = self.add_child(sources, file, folder, place, item);
                if let (Some(child), false) = (child, test) {
                    self.bind(index, item.ident.to_string(), Binding::Module(child));
                }
                continue;
            }
            if test {
                continue;
            }
            if let Item::Use(item) = item {
                for import in references.add_use(item) {
                    if import.name == "*" {
                        self.all[index].globs.push(import.segments);
                    } else {
                        self.bind(index, import.name, Binding::Import(import.segments));
                    }
                }
                continue;
            }
            if let Some(name) = name(item) {
                self.bind(index, name, Binding::Item);
            }
            references.visit_item(item);
        }
        for import in references.imports {
            if import.name != "*" {
                self.bind(index, import.name, Binding::Import(import.segments));
            }
        }
        self.all[index].references = references.paths;
        index
    }

    fn add_child(
        &mut self,
        sources: &Sources,
        file: &Path,
        folder: &Path,
        place: Place,
        item: &ItemMod,
    ) -> Option<usize> {
        let name = item.ident.to_string();
        if let Some((_, items)) = &item.content {
            return Some(self.add(sources, file, &folder.join(name), place, items));
        }
        if let Some((given, _)) = given_path(&item.attrs) {
            let child = file.parent().unwrap_or(file).join(given);
            let folder = child.parent().unwrap_or(&child).to_owned();
            return Some(self.add_file(sources, &child, &folder, place));
        }
        let own = folder.join(&name);
        let candidates = [own.with_extension("rs"), own.join("mod.rs")];
        let Some(child) = candidates
            .iter()
            .find(|path| sources.files.contains_key(*path))
        else {
            self.findings.push(Finding::new(
                file,
                item.ident.span().start().line,
                format!(
                    "there is no file for `mod {name}`: make {}",
                    candidates[0].display()
                ),
            ));
            return None;
        };
        Some(self.add_file(sources, child, &own, place))
    }

    fn bind(&mut self, module: usize, name: String, binding: Binding) {
        self.all[module]
            .names
            .entry(name)
            .or_default()
            .push(binding);
    }
}

/// Where a module stands.
struct Place {
    path: Vec<String>,
    parent: Option<usize>,
    test: bool,
}

impl Place {
    fn root() -> Self {
        Self {
            path: Vec::new(),
            parent: None,
            test: false,
        }
    }
}

/// The path of `#[path = "…"]`, with its line.
pub fn given_path(attributes: &[Attribute]) -> Option<(String, usize)> {
    attributes
        .iter()
        .find_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
                Expr::Lit(literal) => match &literal.lit {
                    Lit::Str(text) => Some((text.value(), text.span().start().line)),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        })
}

/// The name that an item defines.
fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
