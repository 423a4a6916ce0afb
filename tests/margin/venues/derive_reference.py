"""Plain-float twins of Derive's rules, one account at a time, in the words of the research notes.

Written apart from the shipped code (scalar loops, `math` only), so that agreement means something.
Inputs are the `input` objects of the published vectors; results are net margins (at least 0 = healthy).
"""

import math

YEAR = 31_536_000.0
MONTH = 30 * 86_400.0


def normal(x):
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def black(forward, strike, vol, years, is_call, discount=1.0):
    """Black-76 value of a call or a put, bounded."""
    s = max(vol * math.sqrt(max(years, 0.0)), 1e-18)
    if strike == 0 or s >= 24:
        call = discount * forward
    else:
        d1 = (0.5 * s * s - math.log(strike / forward)) / s
        call = discount * (forward * normal(d1) - strike * normal(d1 - s))
    put = min(max(call - discount * (forward - strike), 0.0), discount * strike)
    return min(max(call, 0.0), discount * forward) if is_call else put


def term_multiples(shock, seconds):
    power = shock["short_term_power"] if seconds <= MONTH else shock["long_term_power"]
    scale = (MONTH / max(seconds, shock["dte_floor_days"] * 86_400)) ** power
    return 1 + shock["vol_range_up"] * scale, max(0.0, 1 - shock["vol_range_down"] * scale)


def skew_vol(option, skew, kind, years, forward):
    name = "linear" if kind == "Linear" else "abs"
    root = math.sqrt(years)
    cap = skew[f"{name}_cbase"] * root + skew[f"{name}_base_cap"]
    width = root * skew["width_scale"] * (skew["vol_param_static"] + root * skew["vol_param_scale"])
    width = max(skew["min_k_star"], width)
    k = math.log(option["strike"] / forward)
    if kind == "Abs":
        k = abs(k)
    turn = k * cap / width
    return option["mark_vol"] * max(0.0, 1 + (min(cap, turn) if k >= 0 else max(-cap, turn)))


def naked_shorts(options):
    """Shorts that the same strike does not cover."""
    by_strike = {}
    for option in options:
        pair = by_strike.setdefault(option["strike"], [0.0, 0.0])
        pair[0 if option["is_call"] else 1] += option["amount"]
    total = 0.0
    for call, put in by_strike.values():
        if call * put < 0:
            total += max(-(call + put), 0.0)
        else:
            total += max(-call, 0.0) + max(-put, 0.0)
    return total


def pmrm_v2(given):
    """dict of IM, MM, mtm, scenario_pnl, forward_contingency."""
    p = given["params"]
    spot, stable, perp = given["spot"], given["stable_price"], given["perp"]
    other, margin, basis = p["other_contingency"], p["margin"], p["basis_contingency"]
    scenarios = p["scenarios"]
    pnl = [0.0] * len(scenarios)
    forward_contingency = naked = penalty = option_value = 0.0
    held_perp = perp["confidence"] if perp["position"] else 1.0
    for expiry in given["expiries"]:
        seconds = expiry["sec_to_expiry"]
        options = [o for o in given["options"] if o["sec_to_expiry"] == seconds]
        years, rate = seconds / YEAR, max(expiry["rate"], 0.0)
        discount = math.exp(-rate * years)
        gain = margin["long_base_static_discount"] * math.exp(
            -years * (rate * margin["long_rate_mult"] + margin["long_rate_add"])
        )
        debt = margin["short_base_static_discount"] * math.exp(
            years * (rate * margin["short_rate_mult"] + margin["short_rate_add"])
        )
        debt = min(1 / discount, debt)
        up, down = term_multiples(p["vol_shock"], seconds)
        variable, fixed = expiry["forward_variable"], expiry["forward_fixed"]

        def value(move, vol, options=options, years=years, discount=discount, variable=variable, fixed=fixed):
            return sum(
                o["amount"] * black(variable * move + fixed, o["strike"], vol(o), years, o["is_call"], discount)
                for o in options
            )

        def vol_in(kind, years=years, up=up, down=down, forward=variable + fixed):
            floor, skew = p["vol_shock"]["min_vol_up_shock"], p["skew_shock"]
            rules = {
                "Up": lambda option: max(floor, option["mark_vol"] * up),
                "Down": lambda option: option["mark_vol"] * down,
                "None": lambda option: option["mark_vol"],
            }
            return rules.get(kind, lambda option: skew_vol(option, skew, kind, years, forward))

        now = value(1.0, vol_in("None"))
        option_value += now
        for k, scenario in enumerate(scenarios):
            x = value(scenario["spot_shock"], vol_in(scenario["vol_shock"]))
            change = x * (gain if x >= 0 else debt) - now
            if scenario["vol_shock"] in ("Linear", "Abs"):
                change = -abs(change)
            pnl[k] += change * scenario["dampening"]
        moved = [value(basis[name], vol_in("None")) for name in ("scenario_spot_up", "scenario_spot_down")]
        worst = min(moved[0] - now, moved[1] - now, 0.0)
        forward_contingency += worst * (basis["add_factor"] + basis["mult_factor"] * years)
        naked += naked_shorts(options)
        least = min(
            given["spot_confidence"],
            held_perp,
            expiry["forward_confidence"],
            expiry["rate_confidence"],
            expiry["vol_confidence"],
        )
        if least < other["conf_threshold"]:
            size = sum(abs(o["amount"]) for o in options)
            penalty += (1 - least) * other["conf_margin"] * spot * size
    collateral = haircut_mm = haircut_im = 0.0
    for c in given["collaterals"]:
        worth = c["amount"] * c["price"] / stable
        collateral += worth
        haircut_mm += worth * c["mm_haircut"]
        haircut_im += worth * c["im_haircut"]
        if c["is_risk_cancelling"]:
            for k, scenario in enumerate(scenarios):
                pnl[k] += worth * (scenario["spot_shock"] - 1) * scenario["dampening"]
        least = min(c["confidence"], given["spot_confidence"])
        if least < other["conf_threshold"]:
            penalty += (1 - least) * other["conf_margin"] * worth
    size = perp["position"]
    for k, scenario in enumerate(scenarios):
        pnl[k] += size * perp["price"] * (scenario["spot_shock"] - 1) * scenario["dampening"]
    least = min(held_perp, given["spot_confidence"])
    if size and least < other["conf_threshold"]:
        penalty += (1 - least) * other["conf_margin"] * spot * abs(size)
    worst = min([forward_contingency, *pnl])
    mtm = given["cash"] + option_value + collateral + perp["unrealised_pnl"] + perp["unrealised_funding"]
    charge = other["mm_perp_percent"] * abs(size) * spot + other["mm_option_percent"] * naked * spot + haircut_mm
    extra = other["im_perp_percent"] * abs(size) * spot + other["im_option_percent"] * naked * spot + haircut_im
    peg = max(other["peg_loss_threshold"] - stable, 0.0) * other["peg_loss_factor"]
    return {
        "IM": (margin["im_factor"] + peg) * worst - charge - extra - penalty + mtm,
        "MM": margin["mm_factor"] * worst - charge + mtm,
        "mtm": mtm,
        "scenario_pnl": pnl,
        "forward_contingency": forward_contingency,
    }


def pmrm_v1(given, p):
    """dict of IM, MM, mtm; `p` is a parameter set of version 1."""
    spot, stable, perp = given["spot"], given["stable_price"], given["perp"]
    other, margin, basis, scenarios = (
        p["other_contingency"],
        p["margin"],
        p["basis_contingency"],
        p["scenarios"],
    )
    size, base = perp["position"], given["base"]
    pnl = [0.0] * len(scenarios)
    competing = naked = penalty = option_value = 0.0
    held_perp = perp["confidence"] if size else 1.0
    for expiry in given["expiries"]:
        seconds = expiry["sec_to_expiry"]
        options = [o for o in given["options"] if o["sec_to_expiry"] == seconds]
        years = seconds / YEAR
        vol_confidence = options[-1]["vol_confidence"] if options else 1.0
        rate = max(expiry["rate"], 0.0)
        static = margin["base_static_discount"] * math.exp(-years * (rate * margin["rate_mult"] + margin["rate_add"]))
        up, down = term_multiples(p["vol_shock"], seconds)
        multiples = {"Up": up, "Down": down, "None": 1.0}

        def value(move, multiple, options=options, years=years, expiry=expiry):
            forward = expiry["forward_variable"] * move + expiry["forward_fixed"]
            return sum(
                o["amount"] * black(forward, o["strike"], o["vol"] * multiple, years, o["is_call"]) for o in options
            )

        now = value(1.0, 1.0)
        option_value += now
        for k, scenario in enumerate(scenarios):
            x = value(scenario["spot_shock"], multiples[scenario["vol_shock"]])
            pnl[k] += (x * static if x > 0 else x) - now
        moved = [value(basis[name], 1.0) for name in ("scenario_spot_up", "scenario_spot_down")]
        worst = min(moved[0] - now, moved[1] - now, 0.0)
        competing += worst * (basis["add_factor"] + basis["mult_factor"] * years)
        naked += naked_shorts(options)
        least = min(
            given["spot_confidence"],
            held_perp,
            expiry["forward_confidence"],
            expiry["rate_confidence"],
            vol_confidence,
        )
        if least < other["conf_threshold"]:
            total = sum(abs(o["amount"]) for o in options)
            penalty += (1 - least) * other["conf_margin"] * spot * total
    worth = base * spot / stable
    for k, scenario in enumerate(scenarios):
        pnl[k] += (worth + size * perp["price"]) * (scenario["spot_shock"] - 1)
    least = min(given["spot_confidence"], held_perp)
    if least < other["conf_threshold"]:
        penalty += (1 - least) * other["conf_margin"] * spot * (abs(size) + base)
    static = spot * (other["perp_percent"] * abs(size) + other["base_percent"] * base + other["option_percent"] * naked)
    mtm = option_value + worth + perp["unsettled_cash"] + given["cash"]
    factor = margin["im_factor"] + max(other["peg_loss_threshold"] - stable, 0.0) * other["peg_loss_factor"]
    worst = min([competing, *pnl])
    return {"IM": (worst - static) * factor - penalty + mtm, "MM": worst - static + mtm, "mtm": mtm}


def isolated_option(option, spot, value, p):
    """(initial, maintenance) of one position on its own; `value` is its marked value."""
    size, strike = option["amount"], option["strike"]
    if size >= 0:
        return 0.0, 0.0
    out = max(strike - spot, 0.0) if option["is_call"] else max(spot - strike, 0.0)
    share = max(p["min_spot_req"], p["max_spot_req"] - out / spot)
    if option["is_call"]:
        return value + share * spot * size, value + p["mm_call_spot_req"] * spot * size
    maintenance = value + min(p["mm_put_spot_req"] * spot * size, p["mm_put_mtm_req"] * value)
    return min(value + share * spot * size, p["mm_offset_scale"] * maintenance), maintenance


def standard(given):
    """dict of IM, MM, mtm."""
    stable, depeg = given["stable_price"], given["params"]["depeg"]
    initial = maintenance = mtm = given["cash"]
    for market in given["markets"]:
        p = given["params"]["markets"][market["name"]]
        option_p, oracle = p["option_margin"], p["oracle_contingency"]
        spot, confidence, perp = market["spot"], market["spot_confidence"], market["perp"]
        size, base = perp["position"], market["base"]
        initial -= abs(size) * perp["price"] * p["perp"]["im"]
        maintenance -= abs(size) * perp["price"] * p["perp"]["mm"]
        initial, maintenance, mtm = (x + perp["unsettled_cash"] for x in (initial, maintenance, mtm))
        least = min(confidence, perp["confidence"])
        if least < oracle["perp_threshold"]:
            initial -= (1 - least) * oracle["factor"] * spot * abs(size)
        exposed = abs(size)
        for expiry in market["expiries"]:
            options = [o for o in market["options"] if o["sec_to_expiry"] == expiry["sec_to_expiry"]]
            forward, years = expiry["forward"], expiry["sec_to_expiry"] / YEAR
            alone_initial = alone_maintenance = 0.0
            for option in options:
                value = option["amount"] * black(forward, option["strike"], option["vol"], years, option["is_call"])
                mtm += value
                pair = isolated_option(option, spot, value, option_p)
                alone_initial += pair[0]
                alone_maintenance += pair[1]
            payoffs = [0.0]
            for price in [0.0, *(o["strike"] for o in options)]:
                payoffs.append(
                    sum(o["amount"] * max((price - o["strike"]) * (1 if o["is_call"] else -1), 0.0) for o in options)
                )
            unpaired = min(sum(o["amount"] for o in options if o["is_call"]), 0.0) * forward
            initial += max(alone_initial, min(payoffs) + option_p["unpaired_im_scale"] * unpaired)
            maintenance += max(alone_maintenance, min(payoffs) + option_p["unpaired_mm_scale"] * unpaired)
            shorts = -sum(min(o["amount"], 0.0) for o in options)
            exposed += shorts
            least = min(confidence, expiry["forward_confidence"], expiry["vol_confidence"])
            if least < oracle["option_threshold"]:
                initial -= (1 - least) * oracle["factor"] * spot * shorts
        counted = base * spot * p["base_margin"]["margin_factor"]
        maintenance += counted
        initial += counted * p["base_margin"]["im_scale"]
        if confidence < oracle["base_threshold"] and counted * p["base_margin"]["im_scale"]:
            initial -= (1 - confidence) * oracle["factor"] * base * spot
        mtm += base * spot / stable
        initial -= max(depeg["threshold"] - stable, 0.0) * depeg["factor"] * spot * exposed
    return {"IM": initial, "MM": maintenance, "mtm": mtm}
