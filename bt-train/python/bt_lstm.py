"""Models of bt-train in PyTorch: m = BtLstm.load("RUN/best.safetensors"); m(x, lengths); m.save("mine.safetensors")"""
import json, math, safetensors.torch, torch

class BtLstm(torch.nn.Module):
    def __init__(self, config, tensors):  # the JSON of the metadata key `bt`; tensors named as in bt-train/README.md
        super().__init__()
        self.config = config
        for name, w in tensors.items():  # offsets and scales are not learned
            learned = not name.endswith((".offset", ".scale"))
            self.register_parameter(name.replace(".", "/"), torch.nn.Parameter(w, learned))

    def matrix(self, layer, part, modes):  # a map in full, [gates J, I]; gradients reach its cores and factors
        get, form, d = lambda name: getattr(self, f"{layer}/{part}/{name}"), self.config.get(part, {}), len(modes)
        if form.get("map", "dense") == "dense":
            return get("weight")
        i, j, r = (list(range(10 * axis, 10 * axis + d + 1)) for axis in range(3))  # axes as einsum numbers them
        if form["map"] == "tensor-train":
            terms = [[(get(f"tt/{k}"), [r[k], i[k], j[k], r[k + 1]]) for k in range(d)]]
        else:  # a core and factors for each block
            factors = lambda n: [(get(f"block/{n}/factor/{k}"), [i[k], j[k], r[k]]) for k in range(d)]
            terms = [[(get(f"block/{n}/core"), r[:d]), *factors(n)] for n in range(form.get("blocks", 2))]
        return sum(torch.einsum(*sum(term, ()), j[:d] + i[:d]) for term in terms).reshape(-1, math.prod(modes))

    def forward(self, x, lengths=None):  # raw [sequences, steps, features…] and valid steps → [sequences, K], or
        # with a head on every step [sequences, steps, K], zeros behind the end of a sequence
        inputs, hidden = self.config["input"]["modes"], self.config["hidden"]["modes"]
        get, head = lambda name, absent=0: getattr(self, name, absent), self.config["head"]
        pool, every = head.get("pool", "last"), not head.keys().isdisjoint(("step_classes", "step_values"))
        if frames := self.config["input"].get("frames"):  # drawn evenly from each sequence, the later of two
            last = torch.as_tensor(x.shape[1] if lengths is None else lengths, device=x.device).view(-1, 1) - 1
            place = torch.arange(frames, device=x.device) * last.double() / (frames - 1)
            place = (place + 0.5).floor().long().expand(len(x), -1)
            x, lengths = x[torch.arange(len(x), device=x.device)[:, None], place], None
        x = torch.nn.functional.pad(x.flatten(2).float(), (0, math.prod(inputs) - x[0, 0].numel()))
        x = (x - get("input/offset")) * get("input/scale", 1)
        steps = {"difference": 1, "high-pass": self.config["input"].get("filter_horizon", 4)}
        if steps := steps.get(self.config["input"].get("filter")):  # less a mean of the frames before
            mean, passed = x[:, 0], []
            for frame in x.unbind(1):
                passed.append(frame - mean)
                mean = mean + passed[-1] / steps
            x = torch.stack(passed, 1)
        hard = lambda a: (0.2 * a + 0.5).clamp(0, 1)
        gate = hard if self.config.get("gate") == "hard-sigmoid" else torch.sigmoid
        cell = self.config.get("cell", "lstm")
        for at in range(self.config.get("layers", 1)):  # each reads the hidden states of the one below
            layer = f"{cell}/{at}" if at else cell
            z = x @ self.matrix(layer, "input", hidden if at else inputs).T + get(f"{layer}/bias")
            u = 0 if cell == "min-gru" else self.matrix(layer, "recurrent", hidden).T
            h, states = z.new_zeros(len(x), math.prod(hidden)), []
            c = h
            for t in range(z.shape[1]):
                if cell == "lstm":
                    i, f, g, o = (z[:, t] + h @ u).chunk(4, 1)
                    c = gate(f) * c + gate(i) * g.tanh()
                    h = gate(o) * c.tanh()
                elif cell == "gru":
                    (r, k, n), (ur, uk, un) = z[:, t].chunk(3, 1), (h @ u).chunk(3, 1)
                    n = (n + gate(r + ur) * (un + get(f"{layer}/recurrent/bias"))).tanh()
                    h = n + gate(k + uk) * (h - n)
                else:
                    a, v = z[:, t].chunk(2, 1)
                    h = h + gate(a) * (v - h)
                states.append(h)
            x = torch.stack(states, 1)
        valid = torch.as_tensor(x.shape[1] if lengths is None else lengths, device=x.device).view(-1, 1)
        t = torch.arange(x.shape[1], device=x.device)
        if pool == "recent":  # of all steps at first, then of about the last `horizon`
            recent, means = 0, []
            for at, h in enumerate(x.unbind(1)):
                recent = recent + (h - recent) / min(at + 1, head.get("horizon", 16))
                means.append(recent)
            x = torch.stack(means, 1)
        shares = (t < valid) / valid if pool == "mean" else (t == valid - 1).float()
        read = x if every else (x * shares.expand(len(x), -1)[..., None]).sum(1)
        logits = read @ get("head/weight").T + get("head/bias")
        logits = logits * get("head/scale", 1) + get("head/offset")  # of values, in their own units
        return logits * (t < valid)[..., None] if every else logits

    @classmethod
    def load(cls, path):
        with safetensors.safe_open(path, "pt") as file:
            return cls(json.loads(file.metadata()["bt"]), {name: file.get_tensor(name) for name in file.keys()})

    def save(self, path):
        tensors = {name.replace("/", "."): w.detach().cpu().contiguous() for name, w in self.named_parameters()}
        safetensors.torch.save_file(tensors, path, metadata={"bt": json.dumps(self.config)})
