//! The ONNX form of a layer: nodes and constants as plain data, from which `crate::onnx` makes messages.

/// An attribute of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// A whole number.
    Int(i64),
    /// Several.
    Ints(Vec<usize>),
    /// A number.
    Float(f32),
    /// A text.
    Text(&'static str),
    /// Several.
    Texts(Vec<&'static str>),
}

/// A node. Its result has its name.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxNode {
    /// The operator.
    pub op: &'static str,
    /// The node's name, and that of its result.
    pub name: String,
    /// The results and constants that it reads; an empty name is an argument that is left out.
    pub inputs: Vec<String>,
    /// Its attributes, in this order.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Names of its results after the first.
    pub further: Vec<String>,
}

/// Elements of a constant, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// Floats.
    Floats(Vec<f32>),
    /// Whole numbers: shapes.
    Ints(Vec<i64>),
}

/// A constant that nodes read.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxConstant {
    /// Its name.
    pub name: String,
    /// Its sizes; none for a single number.
    pub shape: Vec<usize>,
    /// Its elements.
    pub elements: Elements,
}

/// A layer on its way to ONNX, where a batch of images is [N, C, H, W] and one of sequences [N, places, features].
#[derive(Debug)]
pub struct Onnx<'a> {
    /// The name of the layer's result: what no node of it may be called but the last.
    pub name: String,
    /// Names of the results that it reads.
    pub inputs: Vec<String>,
    /// Their shapes for one sample, as [`Layer::infer`](crate::model::Layer::infer) has them: [H, W, C] or `[features]`.
    pub shapes: Vec<&'a [usize]>,
    /// Names of its parameters.
    pub params: Vec<String>,
    /// The nodes so far.
    pub nodes: Vec<OnnxNode>,
    /// The constants so far.
    pub constants: Vec<OnnxConstant>,
    /// For each input, of texts that are filled up: how many tokens each has, 64-bit integers `[N]`.
    pub lengths: Vec<Option<String>>,
    /// The states that it begins with, [N, units] each; none where these are zeros.
    pub states: Vec<String>,
    /// Whether the states that it ends in are asked for, and their names, [N, units] each.
    pub ends: Option<Vec<String>>,
}

impl<'a> Onnx<'a> {
    /// A layer without nodes yet.
    pub fn new(name: String, inputs: Vec<String>, shapes: Vec<&'a [usize]>, params: Vec<String>) -> Self {
        Onnx {
            name,
            inputs,
            shapes,
            params,
            nodes: Vec::new(),
            constants: Vec::new(),
            lengths: Vec::new(),
            states: Vec::new(),
            ends: None,
        }
    }

    /// Adds a node that reads `inputs`, and gives the name of its result: the layer's name, followed by `suffix`.
    pub fn node(
        &mut self,
        suffix: &str,
        op: &'static str,
        inputs: &[&str],
        attributes: &[(&'static str, Attribute)],
    ) -> String {
        let name = format!("{}{suffix}", self.name);
        let inputs = inputs.iter().map(|&input| input.into()).collect();
        let node = OnnxNode { op, name: name.clone(), inputs, attributes: attributes.to_vec(), further: Vec::new() };
        self.nodes.push(node);
        name
    }

    /// Gives the last node a further result after those that it has, and gives its name.
    pub fn further(&mut self, suffix: &str) -> String {
        let name = format!("{}{suffix}", self.name);
        self.nodes.last_mut().into_iter().for_each(|node| node.further.push(name.clone()));
        name
    }

    /// How many tokens each text of an input has.
    pub fn lengths_of(&self, input: usize) -> Option<String> {
        self.lengths.get(input).cloned().flatten()
    }

    /// Adds the one node of a layer: it reads the layer's inputs, then its parameters.
    pub fn whole(&mut self, op: &'static str, attributes: &[(&'static str, Attribute)]) {
        let inputs: Vec<String> = self.inputs.iter().chain(&self.params).cloned().collect();
        let inputs: Vec<&str> = inputs.iter().map(|name| &**name).collect();
        self.node("", op, &inputs, attributes);
    }

    /// Adds a node of two arguments for each input but the first, so that all of them are joined. `argument` gives the name
    /// of what stands for an input, from its place and its own name.
    pub fn each(&mut self, op: &'static str, mut argument: impl FnMut(&mut Self, usize) -> String) {
        let count = self.inputs.len();
        let mut last = argument(self, 0);
        for at in 1..count {
            let other = argument(self, at);
            let suffix = if at + 1 == count { String::new() } else { format!("_{at}") };
            last = self.node(&suffix, op, &[&last, &other], &[]);
        }
    }

    /// Adds a constant of floats, and gives its name: the layer's name followed by `suffix`.
    pub fn floats(&mut self, suffix: &str, shape: &[usize], values: Vec<f32>) -> String {
        self.constant(suffix, shape, Elements::Floats(values))
    }

    /// Adds a constant of integers in the same way.
    pub fn ints(&mut self, suffix: &str, values: Vec<i64>) -> String {
        self.constant(suffix, &[values.len()], Elements::Ints(values))
    }

    /// Adds a mask of the places of a sequence [N, places, 1]: floats that are 1 where `op` holds between the place, from 0,
    /// and the text's length, or all of them where texts have none.
    pub fn mask(&mut self, op: &'static str) -> String {
        let places = self.shapes[0][0];
        let Some(lengths) = self.lengths_of(0) else {
            let last = |place: usize| op == "Less" || place + 1 == places;
            let values = (0..places).map(|place| f32::from(u8::from(last(place)))).collect();
            return self.floats("_mask", &[1, places, 1], values);
        };
        let range = self.ints("_places", (0..places as i64).collect());
        let column = self.reshape("_column", &lengths, &[-1, 1]);
        let holds = self.node("_holds", op, &[&range, &column], &[]);
        let floats = self.node("_floats", "Cast", &[&holds], &[("to", Attribute::Int(1))]);
        self.reshape("_mask", &floats, &[0, places as i64, 1])
    }

    /// Adds a node that gives `input` these sizes, in which 0 stands for a size that stays and -1 for what is left.
    pub fn reshape(&mut self, suffix: &str, input: &str, sizes: &[i64]) -> String {
        let shape = self.constant(&format!("{suffix}_shape"), &[sizes.len()], Elements::Ints(sizes.to_vec()));
        self.node(suffix, "Reshape", &[input, &shape], &[])
    }

    fn constant(&mut self, suffix: &str, shape: &[usize], elements: Elements) -> String {
        let name = format!("{}{suffix}", self.name);
        self.constants.push(OnnxConstant { name: name.clone(), shape: shape.to_vec(), elements });
        name
    }

    /// The name of the layer's result: its last node's, or the first input's where it has none.
    pub fn result(&self) -> String {
        self.nodes.last().map_or_else(|| self.inputs.first().cloned().unwrap_or_default(), |node| node.name.clone())
    }

    /// Sizes of the first input's batch in ONNX without N, such as [C, H, W]; 1 for every axis but the channels' with
    /// `broadcast`: the shape in which one value per channel meets it.
    pub fn channels_first(&self, broadcast: bool) -> Vec<i64> {
        let shape = self.shapes.first().copied().unwrap_or_default();
        let Some((&channels, places)) = shape.split_last() else { return Vec::new() };
        let places = places.iter().map(|&size| if broadcast { 1 } else { size as i64 });
        std::iter::once(channels as i64).chain(places).collect()
    }
}
