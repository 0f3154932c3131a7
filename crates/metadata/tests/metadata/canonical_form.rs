//! Which differences are changes: the canonical form beside the rule itself, written down once more in the simplest way.

use nightshift_metadata::{
    KEY_ELEMENTS, KeyedElement, Order, Rules, XmlLimits, canonical_form, parse_file, registry,
};
use proptest::prelude::*;

fn form(xml: &str, rules: Rules<'_>) -> Vec<u8> {
    match canonical_form(xml.as_bytes(), rules, XmlLimits::DEFAULT) {
        Ok(form) => form,
        Err(error) => panic!("{error}: {xml}"),
    }
}

fn same(one: &str, other: &str) -> bool {
    form(one, Rules::PLAIN) == form(other, Rules::PLAIN)
}

const KEPT: Rules<'_> = Rules {
    order: Order::Kept,
    keyed: &[],
    children: &[],
};

#[test]
fn what_nobody_sees_is_no_change() {
    let plain = "<a><b>1</b><c x=\"1\" y=\"2\"/></a>";
    let others = [
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a>\n    <b>1</b>\n    <c x=\"1\" y=\"2\"/>\n</a>\n",
        "\u{feff}<a><b>1</b><c x=\"1\" y=\"2\"/></a>",
        "<a><!-- said --><b>1<!-- in between --></b><c y='2' x='1'></c></a><!-- end -->",
        "<a><c x=\"1\" y=\"2\"/><b>1</b></a>",
        "<a><b><![CDATA[1]]></b><c x=\"&#49;\" y=\"2\"/></a>",
        "<a\n><b\n>1</b\n><c\n x = \"1\"\n y=\"2\"\n/></a\n>",
        "<a xmlns=\"http://soap.sforce.com/2006/04/metadata\"><b>1</b><c x=\"1\" y=\"2\"/></a>",
        "<a xmlns=\"urn:other\" xmlns:xsi=\"urn:xsi\"><b xmlns:q='urn:q'>1</b><c x=\"1\" xmlns=\"\" y=\"2\"/></a>",
    ];
    for other in others {
        assert!(same(plain, other), "{other}");
    }
    assert!(same("<a>x\r\ny\rz</a>", "<a>x\ny\nz</a>"));
}

#[test]
fn what_somebody_may_mean_is_a_change() {
    let plain = "<a><b>1</b><c x=\"1\"/></a>";
    let others = [
        "<a><b>2</b><c x=\"1\"/></a>",
        "<a><b> 1</b><c x=\"1\"/></a>",
        "<a><b>1</b><c x=\"2\"/></a>",
        "<a><b>1</b><c z=\"1\"/></a>",
        "<a><b>1</b><c/></a>",
        "<a><b>1</b><c>x1</c></a>",
        "<a><b>1</b><c x=\"1\"/><c x=\"1\"/></a>",
        "<a><b>1</b></a>",
        "<b><b>1</b><c x=\"1\"/></b>",
        "<a><b>1<c x=\"1\"/></b></a>",
        "<a><b>1</b>text<c x=\"1\"/></a>",
        "<a xmlnsx=\"1\"><b>1</b><c x=\"1\"/></a>",
        "<a><b xsi:nil=\"true\" xmlns:xsi=\"u\">1</b><c x=\"1\"/></a>",
    ];
    for other in others {
        assert!(!same(plain, other), "{other}");
    }
    assert!(
        !same("<a>x&#13;</a>", "<a>x\r</a>"),
        "a carriage return that somebody meant"
    );
    assert!(!same("<a> </a>", "<a></a>"), "white space in a leaf is its text");
}

#[test]
fn b49_two_spellings_of_one_text_are_no_change() {
    let spellings = [
        "<f>it&apos;s &lt;b&gt; &amp; &quot;c&quot;</f>",
        "<f>it&#39;s &#60;b&#62; &#38; &#34;c&#34;</f>",
        "<f>it's &#x3c;b> &#x26; \"c\"</f>",
        "<f><![CDATA[it's <b> & \"c\"]]></f>",
    ];
    for other in &spellings[1..] {
        assert!(same(spellings[0], other), "{other}");
    }
    assert!(!same("<f>&apos;</f>", "<f>&quot;</f>"));
}

#[test]
fn b51_a_text_in_pieces_is_read_whole() {
    let formula = form("<f>_xlfn.X(&quot;A&quot;,1)</f>", Rules::PLAIN);
    assert!(formula.windows(14).any(|part| part == b"_xlfn.X(\"A\",1)"));
    let label = form("<f>&lt;New&gt; label</f>", Rules::PLAIN);
    assert!(label.windows(11).any(|part| part == b"<New> label"));
    let mixed = form("<f>a<!-- c -->b<![CDATA[c]]>&#100;</f>", Rules::PLAIN);
    assert!(mixed.windows(4).any(|part| part == b"abcd"));
}

#[test]
fn b51_a_name_in_pieces_names_its_component_whole() {
    let info = registry().by_name("CustomLabels").unwrap();
    let xml =
        b"<CustomLabels><labels><fullName>&#65;<!-- -->b<![CDATA[c]]></fullName></labels></CustomLabels>";
    let parsed = parse_file(info, "CustomLabels", xml).unwrap();
    assert_eq!(parsed.children[0].full_name, "Abc");
}

#[test]
fn every_order_counts_where_people_see_it() {
    let one = "<r><c><field>A</field></c><c><field>B</field></c><d/></r>";
    let swapped = "<r><c><field>B</field></c><c><field>A</field></c><d/></r>";
    let apart = "<r><d/><c><field>A</field></c><c><field>B</field></c></r>";
    assert!(same(one, swapped) && same(one, apart));
    for type_name in ["Report", "Dashboard", "FlexiPage"] {
        let rules = Rules::of(registry().by_name(type_name).unwrap());
        assert_eq!(rules.order, Order::Kept, "{type_name}");
        assert_ne!(form(one, rules), form(swapped, rules), "{type_name}");
        assert_ne!(form(one, rules), form(apart, rules), "{type_name}");
        let below = |file: &str| form(&format!("<root>{file}</root>"), rules);
        assert_ne!(below(one), below(swapped), "{type_name} at every level");
    }
}

#[test]
fn siblings_of_which_one_has_no_key_or_two_have_the_same_keep_their_order() {
    assert!(!same(
        "<a><b><name>1</name></b><b><x/></b></a>",
        "<a><b><x/></b><b><name>1</name></b></a>"
    ));
    assert!(!same(
        "<a><b><name>1</name><v>1</v></b><b><name>1</name><v>2</v></b></a>",
        "<a><b><name>1</name><v>2</v></b><b><name>1</name><v>1</v></b></a>"
    ));
}

#[test]
fn the_layout_assignments_of_a_profile_are_keyed_by_layout_and_record_type() {
    let info = registry().by_name("Profile").unwrap();
    let rules = Rules::of(info);
    let assignments = [
        "<layoutAssignments><layout>A</layout></layoutAssignments>",
        "<layoutAssignments><layout>A</layout><recordType>A.R</recordType></layoutAssignments>",
        "<layoutAssignments><layout>B</layout><recordType>A.R</recordType></layoutAssignments>",
    ];
    let file = |order: [usize; 3]| {
        let body: String = order.iter().map(|at| assignments[*at]).collect();
        form(&format!("<Profile>{body}</Profile>"), rules)
    };
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        assert_eq!(file(order), file([0, 1, 2]));
    }
}

#[test]
fn a_key_of_several_parts_tells_which_of_them_is_missing() {
    let rules = Rules::of(registry().by_name("Profile").unwrap());
    let one = "<layoutAssignments><layout>X</layout></layoutAssignments>";
    let other = "<layoutAssignments><recordType>X</recordType></layoutAssignments>";
    let file = |body: String| form(&format!("<Profile>{body}</Profile>"), rules);
    assert_eq!(file(format!("{one}{other}")), file(format!("{other}{one}")));
}

#[test]
fn each_key_rule_of_the_registry_makes_order_no_change() {
    let mut rules_seen = 0;
    for info in registry().types() {
        for KeyedElement { element, by } in &info.keyed {
            let one = |value: &str| {
                let parts: Vec<String> = by
                    .iter()
                    .map(|part| format!("<{part}>{value}</{part}>"))
                    .collect();
                let parts = parts.concat();
                format!("<{element}>{parts}</{element}>")
            };
            let (a, b) = (one("A"), one("B"));
            let file = |body: &str| form(&format!("<R>{body}</R>"), Rules::of(info));
            assert_eq!(
                file(&format!("{a}{b}")),
                file(&format!("{b}{a}")),
                "{} {element}",
                info.name
            );
            rules_seen += 1;
        }
    }
    assert!(rules_seen >= 4);
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Body {
    Text(String),
    Nodes(Vec<Node>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    name: &'static str,
    attribute: Option<String>,
    body: Body,
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

/// How a tree is written down: nothing of it may matter.
#[derive(Clone, Copy)]
enum Style {
    Tight,
    Airy,
}

fn written(node: &Node, style: Style) -> String {
    let name = node.name;
    let attribute = node
        .attribute
        .as_ref()
        .map(|value| format!(" x=\"{}\"", escaped(value)))
        .unwrap_or_default();
    let body = match (&node.body, style) {
        (Body::Text(text), Style::Tight) => escaped(text),
        (Body::Text(text), Style::Airy) => format!("<![CDATA[{text}]]><!-- t -->"),
        (Body::Nodes(nodes), Style::Tight) => nodes.iter().map(|node| written(node, style)).collect(),
        (Body::Nodes(nodes), Style::Airy) if nodes.is_empty() => String::new(),
        (Body::Nodes(nodes), Style::Airy) => nodes
            .iter()
            .map(|node| format!("\n  <!-- c -->{}", written(node, style)))
            .chain(["\n".to_owned()])
            .collect(),
    };
    match style {
        Style::Tight if body.is_empty() => format!("<{name}{attribute}/>"),
        _ => format!("<{name}{attribute}>{body}</{name}>"),
    }
}

fn leaf_text(node: &Node) -> Option<&str> {
    match &node.body {
        Body::Text(text) => Some(text),
        Body::Nodes(nodes) if nodes.is_empty() => Some(""),
        Body::Nodes(_) => None,
    }
}

fn key(node: &Node) -> Option<(usize, &str)> {
    let Body::Nodes(nodes) = &node.body else {
        return None;
    };
    KEY_ELEMENTS.iter().enumerate().find_map(|(rank, key)| {
        let named = nodes
            .iter()
            .filter(|node| node.name == *key)
            .find_map(leaf_text)?;
        Some((rank, named))
    })
}

/// The rule in words of its own: sort by name, then by key where each sibling of the name has one of its own.
fn by_the_rule(node: &Node) -> Node {
    let body = match &node.body {
        Body::Nodes(nodes) if !nodes.is_empty() => {
            let mut names: Vec<&str> = nodes.iter().map(|node| node.name).collect();
            names.sort_unstable();
            names.dedup();
            let mut sorted = Vec::new();
            for name in names {
                let mut group: Vec<&Node> = nodes.iter().filter(|node| node.name == name).collect();
                let mut keys: Vec<_> = group.iter().map(|node| key(node)).collect();
                keys.sort_unstable();
                let distinct = keys.windows(2).all(|pair| pair[0] != pair[1]);
                if distinct && keys.iter().all(Option::is_some) {
                    group.sort_by_key(|node| key(node));
                }
                sorted.extend(group.into_iter().map(by_the_rule));
            }
            Body::Nodes(sorted)
        }
        _ => Body::Text(leaf_text(node).unwrap_or_default().to_owned()),
    };
    Node { body, ..node.clone() }
}

/// Shuffles children at every level.
fn shuffled(node: &Node, dice: &mut u64) -> Node {
    let body = match &node.body {
        Body::Text(text) => Body::Text(text.clone()),
        Body::Nodes(nodes) => {
            let mut nodes: Vec<Node> = nodes.iter().map(|node| shuffled(node, dice)).collect();
            for at in (1..nodes.len()).rev() {
                *dice = dice
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                nodes.swap(at, (*dice >> 33) as usize % (at + 1));
            }
            Body::Nodes(nodes)
        }
    };
    Node { body, ..node.clone() }
}

fn text() -> impl Strategy<Value = String> {
    "[ -Z^-~äß製\n]{0,4}"
}

fn tree() -> impl Strategy<Value = Node> {
    let leaf = (
        prop_oneof![
            3 => proptest::sample::select(KEY_ELEMENTS.to_vec()),
            1 => proptest::sample::select(vec!["alpha", "beta"]),
        ],
        proptest::option::weighted(0.1, text()),
        text(),
    )
        .prop_map(|(name, attribute, text)| Node {
            name,
            attribute,
            body: Body::Text(text),
        });
    leaf.prop_recursive(4, 40, 6, |inner| {
        let names = proptest::sample::select(vec!["alpha", "beta", "name", "gamma"]);
        let attribute = proptest::option::weighted(0.1, text());
        (names, attribute, proptest::collection::vec(inner, 0..6)).prop_map(|(name, attribute, nodes)| Node {
            name,
            attribute,
            body: Body::Nodes(nodes),
        })
    })
}

/// Siblings of one name, each with a key of its own and some content.
fn keyed_siblings() -> impl Strategy<Value = Vec<String>> {
    let keys = proptest::collection::btree_set("[A-Za-z]{1,6}", 2..8);
    (keys, proptest::sample::select(KEY_ELEMENTS.to_vec()), text()).prop_map(|(keys, element, content)| {
        let content = escaped(&content);
        keys.into_iter()
            .map(|key| format!("<e><v>{content}</v><{element}>{key}</{element}></e>"))
            .collect()
    })
}

proptest! {
    #[test]
    fn a_shuffled_file_is_unchanged_exactly_where_the_rule_says_so(tree in tree(), dice in any::<u64>()) {
        let mut dice = dice;
        let other = shuffled(&tree, &mut dice);
        let unchanged = by_the_rule(&tree) == by_the_rule(&other);
        let (one, other) = (written(&tree, Style::Tight), written(&other, Style::Airy));
        prop_assert_eq!(same(&one, &other), unchanged, "{}\n{}", one, other);
    }

    #[test]
    fn two_files_are_equal_exactly_when_their_trees_are(one in tree(), other in tree()) {
        let equal = by_the_rule(&one) == by_the_rule(&other);
        prop_assert_eq!(same(&written(&one, Style::Tight), &written(&other, Style::Airy)), equal);
    }

    #[test]
    fn each_permutation_of_keyed_elements_is_no_change(
        (sorted, permuted) in keyed_siblings()
            .prop_flat_map(|siblings| (Just(siblings.clone()), Just(siblings).prop_shuffle())),
    ) {
        let (one, other) = (sorted.concat(), permuted.concat());
        let beside = same(&format!("<r><q/>{one}</r>"), &format!("<r>{other}<q/></r>"));
        let below = same(&format!("<r><d>{one}</d></r>"), &format!("<r><d>{other}</d></r>"));
        prop_assert!(beside && below);
        let kept = form(&format!("<r>{one}</r>"), KEPT) == form(&format!("<r>{other}</r>"), KEPT);
        prop_assert_eq!(kept, one == other);
    }

    #[test]
    fn each_swap_of_two_different_unkeyed_elements_is_a_change(
        texts in proptest::collection::btree_set("[a-z]{1,5}", 2..8),
        nested in any::<bool>(),
        (at, to) in (0usize..8, 0usize..8),
    ) {
        let siblings: Vec<String> = texts
            .iter()
            .map(|text| if nested { format!("<e><v>{text}</v></e>") } else { format!("<e>{text}</e>") })
            .collect();
        let (at, to) = (at % siblings.len(), to % siblings.len());
        prop_assume!(at != to);
        let mut swapped = siblings.clone();
        swapped.swap(at, to);
        let changed = !same(&format!("<r>{}</r>", siblings.concat()), &format!("<r>{}</r>", swapped.concat()));
        prop_assert!(changed);
    }
}
