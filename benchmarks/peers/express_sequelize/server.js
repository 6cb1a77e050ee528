// Express with Sequelize, as its documents show a transfer of money: a managed
// transaction, the row read with a lock, changed as an object and saved, and an
// entry created. Correct, and four round trips under the row's lock. The pool has
// its default size, and waits longer than by default, so that nobody is refused.
import express from "express";
import { DataTypes, Sequelize } from "sequelize";

const BACKLOG = 16384;
const WAITING_MS_MAX = 120000;

const { PGDATABASE, PGUSER, PGHOST, PGPORT } = process.env;
const sequelize = new Sequelize(PGDATABASE, PGUSER, null, {
  host: PGHOST,
  port: Number(PGPORT),
  dialect: "postgres",
  logging: false,
  pool: { acquire: WAITING_MS_MAX },
});

const User = sequelize.define(
  "User",
  {
    id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true },
    balance: { type: DataTypes.BIGINT, allowNull: false },
  },
  { tableName: "users", timestamps: false },
);

const Entry = sequelize.define(
  "Entry",
  {
    id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true },
    user_id: { type: DataTypes.BIGINT, allowNull: false },
    amount: { type: DataTypes.BIGINT, allowNull: false },
    balance_after: { type: DataTypes.BIGINT, allowNull: false },
  },
  { tableName: "entries", timestamps: false },
);

async function withdraw(userId, amount) {
  return sequelize.transaction(async (transaction) => {
    const user = await User.findByPk(userId, { transaction, lock: transaction.LOCK.UPDATE });
    if (user === null) {
      return { status: 404, body: { code: "user_not_found" } };
    }
    const balance = Number(user.balance) - amount;
    if (balance < 0) {
      return { status: 409, body: { code: "insufficient_funds" } };
    }
    user.balance = balance;
    await user.save({ transaction });
    const entry = await Entry.create(
      { user_id: userId, amount: -amount, balance_after: balance },
      { transaction },
    );
    return { status: 200, body: { userId, amount, balance, entryId: Number(entry.id) } };
  });
}

const app = express();
app.disable("x-powered-by");
app.use(express.json());

app.post("/withdraw", async (request, response) => {
  const { userId, amount } = request.body;
  if (!Number.isSafeInteger(userId) || !Number.isSafeInteger(amount) || amount < 1) {
    return response.status(422).json({ code: "invalid_request" });
  }
  const { status, body } = await withdraw(userId, amount);
  return response.status(status).json(body);
});

// The listening socket that the benchmark hands over as descriptor 0.
app.listen({ fd: 0, backlog: BACKLOG }, BACKLOG);
