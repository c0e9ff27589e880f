//! Activations against PyTorch, in model files, and refused values of their keys in files.

use wgrad::device::cpu::Executor;
use wgrad::ir::graph::{Graph, TensorInfo};
use wgrad::ir::values::Values;
use wgrad::model::layers::{Activation as ActivationLayer, LayerEntry};
use wgrad::model::{Model, Sequential};
use wgrad::ops::pointwise::activation::{Activation, Function};
use wgrad::ops::pointwise::activation_dx::ActivationDx;

const X: [f64; 17] =
    [-10000.0, -104.0, -30.0, -7.5, -2.0, -1.0, -0.5, -0.001, 0.0, 0.001, 0.3, 0.625, 1.3, 3.0, 8.0, 40.0, 10000.0];

/// Name, values at X and derivatives there, in double precision (PyTorch 2; softplus without its threshold, hard_sigmoid with a
/// sixth in double precision).
type Row = (&'static str, [f64; X.len()], [f64; X.len()]);
const PYTORCH: &[Row] = &[
    (
        "sigmoid",
        [
            0.0,
            6.813556821545298e-46,
            9.357622968839299e-14,
            0.0005527786369235996,
            0.11920292202211755,
            0.2689414213699951,
            0.3775406687981454,
            0.4997500000208333,
            0.5,
            0.5002499999791666,
            0.574442516811659,
            0.6513548646660542,
            0.7858349830425586,
            0.9525741268224334,
            0.9996646498695336,
            1.0,
            1.0,
        ],
        [
            0.0,
            6.813556821545298e-46,
            9.357622968838423e-14,
            0.0005524730727021604,
            0.1049935854035065,
            0.19661193324148185,
            0.2350037122015945,
            0.24999993750001046,
            0.25,
            0.24999993750001043,
            0.24445831169074586,
            0.2270917049419204,
            0.16829836246906024,
            0.045176659730912,
            0.00033523767075636815,
            0.0,
            0.0,
        ],
    ),
    (
        "tanh",
        [
            -1.0,
            -1.0,
            -1.0,
            -0.9999993881955461,
            -0.9640275800758169,
            -0.7615941559557649,
            -0.46211715726000974,
            -0.0009999996666668,
            0.0,
            0.0009999996666668,
            0.2913126124515909,
            0.5545997223493823,
            0.8617231593133063,
            0.9950547536867305,
            0.9999997749296758,
            1.0,
            1.0,
        ],
        [
            0.0,
            0.0,
            0.0,
            1.2236085334475042e-06,
            0.07065082485316443,
            0.41997434161402614,
            0.7864477329659274,
            0.9999990000006667,
            1.0,
            0.9999990000006667,
            0.9151369618266292,
            0.6924191479699882,
            0.25743319670309406,
            0.009866037165440166,
            4.5014059765485253e-07,
            0.0,
            0.0,
        ],
    ),
    (
        "gelu",
        [
            -0.0,
            -0.0,
            -0.0,
            -2.393918396847994e-13,
            -0.04550026389635842,
            -0.15865525393145702,
            -0.15426876936299344,
            -0.000499601057786089,
            0.0,
            0.000500398942213911,
            0.1853734266566858,
            0.45875904434456216,
            1.1741593700387067,
            2.99595030590511,
            7.999999999999995,
            40.0,
            10000.0,
        ],
        [
            0.0,
            0.0,
            -4.420938404635643e-195,
            -1.793821487813784e-12,
            -0.08523180107819692,
            -0.08331547058768635,
            0.13250487534383712,
            0.4992021157051586,
            0.5,
            0.5007978842948414,
            0.7323277668271099,
            0.9391150762952838,
            1.1259786850765392,
            1.011945647204184,
            1.0000000000000397,
            1.0,
            1.0,
        ],
    ),
    (
        "silu",
        [
            -0.0,
            -7.08609909440711e-44,
            -2.8072868906517896e-12,
            -0.004145839776926997,
            -0.2384058440442351,
            -0.2689414213699951,
            -0.1887703343990727,
            -0.0004997500000208334,
            0.0,
            0.0005002499999791667,
            0.1723327550434977,
            0.4070967904162839,
            1.0215854779553264,
            2.8577223804672998,
            7.997317198956269,
            40.0,
            10000.0,
        ],
        [
            -0.0,
            -7.017963526191657e-44,
            -2.713710660963134e-12,
            -0.0035907694083426034,
            -0.09078424878489547,
            0.07232948812851325,
            0.2600388126973482,
            0.4995000000833333,
            0.5,
            0.5004999999166666,
            0.6477800103188829,
            0.7932871802547544,
            1.004622854252337,
            1.0881041060151693,
            1.0023465512355845,
            1.0,
            1.0,
        ],
    ),
    (
        "leaky_relu",
        [
            -100.0, -1.04, -0.3, -0.075, -0.02, -0.01, -0.005, -1e-05, 0.0, 0.001, 0.3, 0.625, 1.3, 3.0, 8.0, 40.0,
            10000.0,
        ],
        [0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    ),
    (
        "softplus",
        [
            0.0,
            6.813556821545298e-46,
            9.357622968839737e-14,
            0.0005529314753607964,
            0.1269280110429725,
            0.31326168751822286,
            0.4740769841801067,
            0.6926473055599401,
            std::f64::consts::LN_2,
            0.6936473055599401,
            0.8543552444685272,
            1.0537006782765186,
            1.5410084538329922,
            3.048587351573742,
            8.000335406372896,
            40.0,
            10000.0,
        ],
        [
            0.0,
            6.813556821545298e-46,
            9.3576229688393e-14,
            0.0005527786369235996,
            0.11920292202211755,
            0.2689414213699951,
            0.37754066879814546,
            0.49975000002083336,
            0.5,
            0.5002499999791666,
            0.574442516811659,
            0.6513548646660542,
            0.7858349830425586,
            0.9525741268224333,
            0.9996646498695335,
            1.0,
            1.0,
        ],
    ),
    (
        "hard_swish",
        [
            0.0,
            0.0,
            0.0,
            0.0,
            -0.3333333333333333,
            -0.3333333333333333,
            -0.20833333333333334,
            -0.0004998333333333334,
            0.0,
            0.0005001666666666667,
            0.16499999999999998,
            0.3776041666666667,
            0.9316666666666666,
            3.0,
            8.0,
            40.0,
            10000.0,
        ],
        [
            0.0,
            0.0,
            0.0,
            0.0,
            -0.16666666666666663,
            0.16666666666666669,
            0.33333333333333337,
            0.49966666666666665,
            0.5,
            0.5003333333333333,
            0.6,
            0.7083333333333334,
            0.9333333333333333,
            1.0,
            1.0,
            1.0,
            1.0,
        ],
    ),
    (
        "gelu_tanh",
        [
            -0.0,
            -0.0,
            -0.0,
            -0.0,
            -0.04540230591222494,
            -0.1588080093917233,
            -0.15428599017485606,
            -0.000499601057786418,
            0.0,
            0.000500398942213582,
            0.18537092354275922,
            0.4587211499576005,
            1.1739290123173094,
            2.996362607918227,
            8.0,
            40.0,
            10000.0,
        ],
        [
            0.0,
            0.0,
            0.0,
            0.0,
            -0.0860992566236183,
            -0.08296408384578258,
            0.13263009646535764,
            0.499202115706475,
            0.5,
            0.500797884293525,
            0.7322954516388018,
            0.9389080373867051,
            1.1258780697840167,
            1.0115841666309695,
            1.0,
            1.0,
            1.0,
        ],
    ),
    (
        "relu6",
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.001, 0.3, 0.625, 1.3, 3.0, 6.0, 6.0, 6.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0],
    ),
    (
        "hard_sigmoid",
        [
            0.0,
            0.0,
            0.0,
            0.0,
            0.16666666666666666,
            0.3333333333333333,
            0.4166666666666667,
            0.49983333333333335,
            0.5,
            0.5001666666666666,
            0.5499999999999999,
            0.6041666666666666,
            0.7166666666666667,
            1.0,
            1.0,
            1.0,
            1.0,
        ],
        [
            0.0,
            0.0,
            0.0,
            0.0,
            0.16666666666666666,
            0.16666666666666666,
            0.16666666666666666,
            0.16666666666666666,
            0.16666666666666666,
            0.16666666666666666,
            0.16666666666666666,
            0.16666666666666666,
            0.16666666666666666,
            0.0,
            0.0,
            0.0,
            0.0,
        ],
    ),
    (
        "elu",
        [
            -1.0,
            -1.0,
            -0.9999999999999064,
            -0.9994469156298522,
            -0.8646647167633873,
            -0.6321205588285577,
            -0.3934693402873666,
            -0.000999500166624978,
            0.0,
            0.001,
            0.3,
            0.625,
            1.3,
            3.0,
            8.0,
            40.0,
            10000.0,
        ],
        [
            0.0,
            6.813556821545298e-46,
            9.357622968840175e-14,
            0.0005530843701478336,
            0.1353352832366127,
            0.36787944117144233,
            0.6065306597126334,
            0.999000499833375,
            1.0,
            1.0,
            1.0,
            1.0,
            1.0,
            1.0,
            1.0,
            1.0,
            1.0,
        ],
    ),
    (
        "selu",
        [
            -1.7580993408473766,
            -1.7580993408473766,
            -1.758099340847212,
            -1.757126963580787,
            -1.5201664685956948,
            -1.1113307378125625,
            -0.6917581878028713,
            -0.0017572205841202171,
            0.0,
            0.0010507009873554805,
            0.31521029620664415,
            0.6566881170971752,
            1.3659112835621245,
            3.1521029620664414,
            8.405607898843844,
            42.028039494219215,
            10507.009873554805,
        ],
        [
            0.0,
            1.1978909756784936e-45,
            1.6451630773416182e-13,
            0.0009723772665898928,
            0.2379328722516818,
            0.646768603034814,
            1.0663411530445053,
            1.7563421202632563,
            1.7580993408473766,
            1.0507009873554805,
            1.0507009873554805,
            1.0507009873554805,
            1.0507009873554805,
            1.0507009873554805,
            1.0507009873554805,
            1.0507009873554805,
            1.0507009873554805,
        ],
    ),
    (
        "mish",
        [
            -0.0,
            -7.08609909440711e-44,
            -2.807286890651921e-12,
            -0.0041469856425822285,
            -0.2525014826957089,
            -0.30340146137410895,
            -0.22074377465173,
            -0.0005996799840458664,
            0.0,
            0.000600319983954133,
            0.20800137234811503,
            0.48952559113753297,
            1.185976571527536,
            2.9865350049679575,
            7.999998200644843,
            40.0,
            10000.0,
        ],
        [
            0.0,
            -7.017963526191657e-44,
            -2.713710660963392e-12,
            -0.0035929070903953616,
            -0.1083550924203939,
            0.059216755877395014,
            0.28951067791351226,
            0.5993599521834648,
            0.6,
            0.6006399518165315,
            0.7828272995511304,
            0.9405975422320169,
            1.0836377071666505,
            1.0211069109294435,
            1.0000033725836874,
            1.0,
            1.0,
        ],
    ),
];

/// The oracle's values, and the gradients of their sum.
fn oracle(function: Function, slope: f32) -> [Vec<f64>; 2] {
    let mut graph = Graph::new();
    let x = graph.tensor(TensorInfo::floats("x", [X.len(), 1]));
    let op = Activation { function, slope };
    let y = graph.apply(op, &[x]).unwrap()[0];
    let up = graph.tensor(TensorInfo::floats("dy", [X.len(), 1]));
    let dx = graph.apply(ActivationDx(op), &[up, if op.by_result() { y } else { x }]).unwrap()[0];
    let mut executor = Executor::<f64>::new(graph.clone(), false).unwrap();
    executor.set(x, Values::Float(X.to_vec())).unwrap();
    executor.set(up, Values::Float(vec![1.0; X.len()])).unwrap();
    (0..graph.nodes.len()).for_each(|node| executor.run(node));
    [y, dx].map(|t| match executor.get(t) {
        Values::Float(values) => values,
        other => panic!("{other:?}"),
    })
}

#[test]
fn activations_are_those_of_pytorch() {
    assert_eq!(PYTORCH.len(), Function::ALL.len());
    for (name, values, derivatives) in PYTORCH {
        let function = Function::named(name).unwrap();
        let [y, dx] = oracle(function, function.slope().unwrap_or(0.0));
        for (i, x) in X.iter().enumerate() {
            for (got, want) in [(y[i], values[i]), (dx[i], derivatives[i])] {
                // Ten roundings; PyTorch's exponents beyond 100 round, too, and its 1 + erf cancels. Slopes are 32 bits here.
                let decimal = |slope: f32| slope.to_string().parse::<f64>().unwrap();
                let slope = function.slope().map_or(0.0, |slope| (f64::from(slope) - decimal(slope)).abs());
                let tolerance = 10.0 * f64::EPSILON * (1.0 + x.abs()) + slope * x.abs().max(1.0);
                assert!((got - want).abs() <= tolerance, "{name} at {x}: {got}, PyTorch {want}");
            }
        }
    }
}

const FILE: &str = r#"
input = [4, 4, 2]

[[layers]]
type = "gelu"

[[layers]]
type = "leaky_relu"

[[layers]]
type = "leaky_relu"
slope = 0.25

[[layers]]
type = "dropout"
rate = 0.3

[[layers]]
type = "flatten"

[[layers]]
type = "dense"
units = 3
"#;

/// File, builder, description in weight files and back.
#[test]
fn activations_are_named_in_model_files() {
    let net = Sequential::new([4, 4, 2]).name("net").activation(Function::Gelu).activation(Function::LeakyRelu);
    let built = net.leaky_relu(0.25).dropout(0.3).flatten().dense(3).build().unwrap();
    assert_eq!(Model::from_toml(FILE, "net.toml", "net").unwrap(), built);
    assert_eq!(Model::from_toml(&built.to_toml(), "net.toml", "net").unwrap(), built);
    assert_eq!(Model::from_json(&built.to_json().unwrap()).unwrap(), built);
    assert!(built.summary().unwrap().contains("1 (leaky_relu)"));
    for &function in Function::ALL {
        let file = FILE.replace("\"gelu\"", &format!("{:?}", function.name()));
        let layer = LayerEntry::from(ActivationLayer { function, slope: function.slope().unwrap_or(0.0) });
        assert_eq!(Model::from_toml(&file, "net.toml", "net").unwrap().layers[0], layer);
    }
}

/// A first layer, which begins in line 2, and the error message.
const REFUSED: &[(&str, &str)] = &[
    ("type = 'dropout'", "line 2: layer 0 (dropout): found no key rate, expected a number from 0 to less than 1"),
    (
        "type = 'dropout'\nrate = 1",
        "line 4: layer 0 (dropout): found rate = 1, expected a number from 0 to less than 1",
    ),
    ("type = 'dropout'\nrate = -0.1", "line 4: layer 0 (dropout): found rate = -0.1, expected a number from 0"),
    ("type = 'gelo'", "line 3: layer 0: found type = \"gelo\", expected \"conv2d\", \"relu\""),
    ("type = 'gelo'", "did you mean 'gelu'?"),
    ("type = 'sigmoid'\nslope = 1", "line 4: layer 0 (sigmoid): found unknown key slope, expected type"),
    ("type = 'leaky_relu'\nslope = 'x'", "line 4: layer 0 (leaky_relu): found slope = \"x\", expected a finite number"),
    ("type = 'leaky_relu'\nslope = nan", "line 4: layer 0 (leaky_relu): found slope = nan, expected a finite number"),
    ("type = 'leaky_relu'\nslope = 1e39", "line 4: layer 0 (leaky_relu): found slope = 1e39, expected a finite number"),
];

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (layer, want) in REFUSED {
        let file = format!("input = [4, 4, 2]\n[[layers]]\n{layer}\n");
        let error = Model::from_toml(&file, "net.toml", "net").unwrap_err().to_string();
        assert!(error.contains(want), "{layer}: {error}");
    }
    let odd = LayerEntry::from(ActivationLayer { function: Function::Tanh, slope: 0.5 });
    let error = Sequential::new([4, 4, 2]).layer(odd).flatten().dense(3).build().unwrap_err().to_string();
    assert!(error.contains("layer 0 (tanh): found slope = 0.5"), "{error}");
    let json =
        Sequential::new([4, 4, 2]).activation(Function::Silu).flatten().dense(3).build().unwrap().to_json().unwrap();
    assert!(
        Model::from_json(&json.replace("silu", "sulu")).unwrap_err().to_string().contains("no activation \"sulu\"")
    );
}
