"""Models of bt-train in PyTorch: `m = BtLstm.load("RUN/best.safetensors")`, `m(x, lengths)`, `m.save("mine.safetensors")`."""
import json, math, string, torch
from safetensors import safe_open
from safetensors.torch import save_file

class BtLstm(torch.nn.Module):
    def __init__(self, config, tensors):  # the JSON of the metadata key `bt`; tensors named as in bt-train/README.md
        super().__init__()
        self.config, classes, units = config, config["head"]["classes"], math.prod(config["hidden"]["modes"])
        absent = {"lstm.bias": torch.zeros(4 * units), "head.bias": torch.zeros(classes)}
        tensors = absent | {"input.offset": torch.zeros(1), "input.scale": torch.ones(1)} | tensors
        for name in ("offset", "scale"):
            self.register_buffer(name, tensors.pop(f"input.{name}"))
        self.weight = torch.nn.ParameterDict({name.replace(".", "/"): w for name, w in tensors.items()})

    def matrix(self, part, modes):  # a map in full, [4J, I]; gradients reach its cores and factors
        get, about, d = lambda name: self.weight[f"lstm/{part}/{name}"], self.config.get(part, {}), len(modes)
        if about.get("map", "dense") == "dense":
            return get("weight")
        i, j, r = (string.ascii_letters[k * 10 : k * 10 + d + 1] for k in range(3))
        if about["map"] == "tensor-train":
            parts = [[(r[k] + i[k] + j[k] + r[k + 1], get(f"tt/{k}")) for k in range(d)]]
        else:  # a core and factors for each block
            factors = lambda n: [(i[k] + j[k] + r[k], get(f"block/{n}/factor/{k}")) for k in range(d)]
            parts = [[(r[:d], get(f"block/{n}/core")), *factors(n)] for n in range(about.get("blocks", 2))]
        full = sum(torch.einsum(",".join(t for t, _ in p) + f"->{j[:d]}{i[:d]}", *(w for _, w in p)) for p in parts)
        return full.reshape(-1, math.prod(modes))

    def forward(self, x, lengths=None):  # raw [sequences, steps, features…] and valid steps → logits [sequences, classes]
        inputs, hidden = self.config["input"]["modes"], self.config["hidden"]["modes"]
        x = torch.nn.functional.pad(x.flatten(2).float(), (0, math.prod(inputs) - x[0, 0].numel()))
        z = (x - self.offset) * self.scale @ self.matrix("input", inputs).T + self.weight["lstm/bias"]
        u, h, c, states = self.matrix("recurrent", hidden).T, *z.new_zeros(2, len(x), math.prod(hidden)), []
        hard = self.config.get("gate", "sigmoid") == "hard-sigmoid"
        gate = (lambda a: (0.2 * a + 0.5).clamp(0, 1)) if hard else torch.sigmoid
        for step in z.unbind(1):
            i, f, g, o = (step + h @ u).chunk(4, 1)
            c = gate(f) * c + gate(i) * g.tanh()
            h = gate(o) * c.tanh()
            states.append(h)
        steps = torch.arange(len(states), device=z.device)
        valid = torch.as_tensor(len(states) if lengths is None else lengths, device=z.device).expand(len(x))[:, None]
        mean = self.config["head"].get("pool", "last") == "mean"
        share = (steps < valid) / valid if mean else (steps == valid - 1).float()
        return torch.einsum("bs,sbj->bj", share, torch.stack(states)) @ self.weight["head/weight"].T + self.weight["head/bias"]

    @classmethod
    def load(cls, path):
        with safe_open(path, "pt") as file:
            return cls(json.loads(file.metadata()["bt"]), {name: file.get_tensor(name) for name in file.keys()})

    def save(self, path):
        tensors = {name.replace("/", "."): w.detach() for name, w in self.weight.items()}
        tensors |= {"input.offset": self.offset, "input.scale": self.scale}
        save_file({k: w.cpu().contiguous() for k, w in tensors.items()}, path, metadata={"bt": json.dumps(self.config)})
