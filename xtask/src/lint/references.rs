//! The paths that a piece of code names, outside test code.

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Expr, Field, ImplItem, Item, ItemUse, Macro, Meta, Stmt, TraitItem, UseTree,
    Visibility,
    visit::{self, Visit},
};

/// A path as it is written.
#[derive(Debug, Clone)]
pub struct Reference {
    /// Its names, with `crate`, `self` and `super`.
    pub segments: Vec<String>,
    /// Line in the file, from 1.
    pub line: usize,
    /// A `pub use` of any kind hands a name on. What the file itself does with the name counts where it does so.
    pub handed_on: bool,
}

/// A `use` that gives a name.
#[derive(Debug, Clone)]
pub struct Import {
    /// The name; `*` for all names of a module, `_` for none.
    pub name: String,
    /// What it stands for.
    pub segments: Vec<String>,
}

/// Everything that code names.
#[derive(Debug, Default)]
pub struct References {
    /// Paths.
    pub paths: Vec<Reference>,
    /// Names given within functions.
    pub imports: Vec<Import>,
}

impl References {
    /// Adds the paths of a `use`, and returns the names it gives.
    pub fn add_use(&mut self, item: &ItemUse) -> Vec<Import> {
        let handed_on = !matches!(item.vis, Visibility::Inherited);
        let mut imports = Vec::new();
        self.add_tree(&item.tree, &mut Vec::new(), handed_on, &mut imports);
        imports
    }

    fn add_tree(
        &mut self,
        tree: &UseTree,
        before: &mut Vec<String>,
        handed_on: bool,
        imports: &mut Vec<Import>,
    ) {
        let (ident, name) = match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.add_tree(&path.tree, before, handed_on, imports);
                before.pop();
                return;
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(tree, before, handed_on, imports);
                }
                return;
            }
            UseTree::Name(name) => (Some(&name.ident), name.ident.to_string()),
            UseTree::Rename(rename) => (Some(&rename.ident), rename.rename.to_string()),
            UseTree::Glob(_) => (None, "*".to_owned()),
        };
        let mut segments = before.clone();
        let mut name = name;
        let mut line = 0;
        match ident {
            Some(ident) if ident == "self" && !segments.is_empty() => {
                if name == "self" {
                    name = segments.last().cloned().unwrap_or_default();
                }
                line = ident.span().start().line;
            }
            Some(ident) => {
                segments.push(ident.to_string());
                line = ident.span().start().line;
            }
            None => {
                if let UseTree::Glob(glob) = tree {
                    line = glob.star_token.spans[0].start().line;
                }
            }
        }
        self.paths.push(Reference {
            segments: segments.clone(),
            line,
            handed_on,
        });
        imports.push(Import { name, segments });
    }

    /// Looks for `a::b::c` in the tokens of a macro.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut segments: Vec<String> = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        // After a dot a name is a field or a method.
        let mut after_dot = false;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons < 2 {
                        self.add_path(&mut segments, line);
                    }
                    if !after_dot {
                        if segments.is_empty() {
                            line = ident.span().start().line;
                        }
                        segments.push(ident.to_string());
                    }
                    (colons, after_dot) = (0, false);
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    after_dot = false;
                }
                other => {
                    self.add_path(&mut segments, line);
                    (colons, after_dot) = (0, false);
                    match other {
                        TokenTree::Group(group) => self.add_tokens(group.stream()),
                        TokenTree::Punct(punct) => after_dot = punct.as_char() == '.',
                        TokenTree::Literal(_) | TokenTree::Ident(_) => {}
                    }
                }
            }
        }
        self.add_path(&mut segments, line);
    }

    fn add_path(&mut self, segments: &mut Vec<String>, line: usize) {
        if !segments.is_empty() {
            self.paths.push(Reference {
                segments: std::mem::take(segments),
                line,
                handed_on: false,
            });
        }
    }
}

impl<'ast> Visit<'ast> for References {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let imports = self.add_use(item);
        self.imports.extend(imports);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes: &[Attribute] = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            _ => &[],
        };
        if !is_test(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        let attributes: &[Attribute] = match item {
            TraitItem::Const(item) => &item.attrs,
            TraitItem::Fn(item) => &item.attrs,
            TraitItem::Type(item) => &item.attrs,
            _ => &[],
        };
        if !is_test(attributes) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'ast Field) {
        if !is_test(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        let attributes: &[Attribute] = match statement {
            Stmt::Local(local) => &local.attrs,
            Stmt::Expr(Expr::Block(block), _) => &block.attrs,
            _ => &[],
        };
        if !is_test(attributes) {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first() {
            self.paths.push(Reference {
                segments: path
                    .segments
                    .iter()
                    .map(|segment| segment.ident.to_string())
                    .collect(),
                line: first.ident.span().start().line,
                handed_on: false,
            });
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.visit_path(&item.path);
        self.add_tokens(item.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.add_tokens(list.tokens.clone());
            // `with = "path"` and its like.
            if attribute.path().is_ident("serde") {
                self.add_strings(list.tokens.clone());
            }
        }
    }
}

impl References {
    fn add_strings(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.add_strings(group.stream()),
                TokenTree::Literal(literal) => {
                    let line = literal.span().start().line;
                    let text = literal.to_string();
                    if let Ok(path) = syn::parse_str::<syn::Path>(text.trim_matches('"')) {
                        let mut segments = path
                            .segments
                            .iter()
                            .map(|segment| segment.ident.to_string())
                            .collect();
                        self.add_path(&mut segments, line);
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }
}

/// Whether it is compiled for tests only.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || matches!(&attribute.meta, Meta::List(list)
                if attribute.path().is_ident("cfg") && needs_test(list.tokens.clone()))
    })
}

/// `test`, or `all(…, test, …)`.
fn needs_test(tokens: TokenStream) -> bool {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let TokenTree::Ident(ident) = token else {
            continue;
        };
        match tokens.peek() {
            Some(TokenTree::Group(group)) => {
                if ident == "all" && needs_test(group.stream()) {
                    return true;
                }
            }
            Some(TokenTree::Punct(punct)) if punct.as_char() == '=' => {}
            _ => {
                if ident == "test" {
                    return true;
                }
            }
        }
    }
    false
}

/// The attributes of any item.
pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
