// Express with pg and SQL by hand: the same statement as the FastAPI peer's, through
// pg's pool at its default size. The PG… variables say where the database is.
import express from "express";
import pg from "pg";

const BACKLOG = 16384;
const WITHDRAW = `
with moved as (
    update users
       set balance = balance - $2
     where id = $1
       and balance >= $2
 returning balance
)
insert into entries (user_id, amount, balance_after)
select $1, -$2::bigint, moved.balance
  from moved
returning id, balance_after
`;

const pool = new pg.Pool();
const app = express();
app.disable("x-powered-by");
app.use(express.json());

app.post("/withdraw", async (request, response) => {
  const { userId, amount } = request.body;
  if (!Number.isSafeInteger(userId) || !Number.isSafeInteger(amount) || amount < 1) {
    return response.status(422).json({ code: "invalid_request" });
  }
  const { rows } = await pool.query({ name: "withdraw", text: WITHDRAW, values: [userId, amount] });
  if (rows.length === 1) {
    // bigint comes as text, since it may be too large for a number; these are not.
    return response.json({ userId, amount, balance: Number(rows[0].balance_after), entryId: Number(rows[0].id) });
  }
  const known = await pool.query({ name: "known", text: "select 1 from users where id = $1", values: [userId] });
  return known.rows.length === 0
    ? response.status(404).json({ code: "user_not_found" })
    : response.status(409).json({ code: "insufficient_funds" });
});

// The listening socket that the benchmark hands over as descriptor 0.
app.listen({ fd: 0, backlog: BACKLOG }, BACKLOG);
